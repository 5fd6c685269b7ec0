/** The page as a whole: its modes, dropped files and keyboard shortcuts. */

import * as api from "./api.js";
import * as composer from "./composer.js";
import * as detail from "./detail.js";
import * as gallery from "./gallery.js";
import * as live from "./live.js";
import * as restoring from "./restore.js";
import { provenance } from "./png.js";
import { $, complain, say } from "./page.js";
import { currentLanguage, showTexts, switchLanguage, text } from "./text.js";

let drawing = null;
let facts = {};

async function draw() {
  const asked = composer.asked();
  complain("#problem");
  if (!asked.prompt) return complain("#problem", text("nothing"));
  stop();
  const mine = (drawing = new AbortController());
  busy(true);
  const sheet = gallery.begin(asked);
  const raws = [];
  try {
    for await (const event of api.draw({ ...asked, partial_images: 1 }, mine.signal)) {
      const { type, index } = event;
      if (type.endsWith("expansion") && index === 0) composer.showCaption(asked.prompt, event.text);
      if (type.endsWith("partial_image")) gallery.show(sheet, index, (raws[index] = api.png(event.b64_json)));
      if (!type.endsWith("completed")) continue;
      const picture = api.pictureOf(event, raws[index]);
      if (index === 0) live.show(asked, picture);
      await gallery.add(sheet, index, picture);
    }
  } catch (error) {
    if (error.name === "AbortError") say(text("stopped"));
    else complain("#problem", error.message);
  } finally {
    await gallery.end(sheet);
    if (drawing === mine) busy(false);
  }
}

function busy(on) {
  $("#go").hidden = on;
  $("#stop").hidden = !on;
  if (!on) drawing = null;
}

function stop() {
  drawing?.abort();
  live.stop();
}

/** Switch to a mode. */
function enter(room) {
  for (const tab of document.querySelectorAll("[role=tab]")) {
    const here = tab.getAttribute("aria-controls") === room;
    tab.setAttribute("aria-selected", String(here));
    tab.tabIndex = here ? 0 : -1;
    $(`#${tab.getAttribute("aria-controls")}`).hidden = !here;
  }
}

/** Load the prompt of a picture that was drawn here; open any other picture for restoration. */
async function receive(file) {
  const told = await provenance(file);
  if ($("#restore").hidden && told?.drawings?.length) reuse(told.drawings[0], told.drawings.length);
  else take(file);
}

function reuse(drawn, count = 1) {
  enter("draw");
  composer.takeUp(drawn, count);
  live.typed();
  say(text("brought"));
  $("#prompt").focus();
}

function take(file) {
  enter("restore");
  restoring.take(file);
}

function listen() {
  $("#composer").addEventListener("submit", (event) => { event.preventDefault(); draw(); });
  $("#stop").addEventListener("click", stop);
  $("#language").addEventListener("click", () => { switchLanguage(); showExamples(); });
  $("#theme").addEventListener("click", switchTheme);
  $("#forget").addEventListener("click", () => { if (confirm(text("forgetSure"))) gallery.forgetAll(); });
  const tabs = [...document.querySelectorAll("[role=tab]")];
  tabs.forEach((tab, index) => {
    tab.addEventListener("click", () => enter(tab.getAttribute("aria-controls")));
    tab.addEventListener("keydown", (event) => {
      if (!["ArrowLeft", "ArrowRight"].includes(event.key)) return;
      const other = tabs[1 - index];
      enter(other.getAttribute("aria-controls"));
      other.focus();
    });
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !document.querySelector("dialog[open]")) stop();
    if (event.key !== "/" || event.target.matches("input, textarea")) return;
    event.preventDefault();
    enter("draw");
    $("#prompt").focus();
  });
}

function listenToDrops() {
  const carriesFile = (event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!carriesFile(event)) return;
    event.preventDefault();
    $("#veil").hidden = false;
  });
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) $("#veil").hidden = true; });
  document.addEventListener("drop", (event) => {
    if (!carriesFile(event)) return;
    event.preventDefault();
    $("#veil").hidden = true;
    if (event.dataTransfer.files[0]) receive(event.dataTransfer.files[0]);
  });
  document.addEventListener("paste", (event) => {
    if (event.clipboardData.files[0]) receive(event.clipboardData.files[0]);
  });
}

function switchTheme() {
  const dark = getComputedStyle(document.documentElement).colorScheme === "dark"
    || (document.documentElement.dataset.theme === undefined && matchMedia("(prefers-color-scheme: dark)").matches);
  localStorage.setItem("theme", dark ? "light" : "dark");
  showTheme();
}

function showTheme() {
  const theme = localStorage.getItem("theme");
  if (theme) document.documentElement.dataset.theme = theme;
}

/** Example prompts: the model's own in the language of the page, or else those of the page. */
function showExamples() {
  const own = facts.prompts ?? {};
  const prompts = [own[currentLanguage()], ...Object.values(own), text("examples")].find((some) => some?.length);
  $("#examples").replaceChildren(...prompts.map((prompt) => {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = prompt;
    button.addEventListener("click", () => { composer.propose(prompt); live.typed(); });
    item.append(button);
    return item;
  }));
}

/** The facts of the model; requested again until it is loaded. */
async function learnFacts() {
  facts = await api.facts();
  composer.know(facts);
  showExamples();
  live.follow();
  if (!facts.id) setTimeout(learnFacts, 2000);
}

showTheme();
showTexts();
listen();
listenToDrops();
restoring.start();
detail.start({ reuse, take });
gallery.start(detail.show);
live.start();
composer.start({ typed: live.typed, moved: live.follow });
await learnFacts();
