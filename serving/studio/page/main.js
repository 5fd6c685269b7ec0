/** The page as a whole: its rooms, what is dropped on it, its keys. */

import * as api from "./api.js";
import * as composer from "./composer.js";
import * as detail from "./detail.js";
import * as gallery from "./gallery.js";
import * as restoring from "./restore.js";
import { provenance } from "./png.js";
import { $, complain, say } from "./page.js";
import { showTexts, switchLanguage, text } from "./text.js";

let drawing = null;

async function draw() {
  const asked = composer.asked();
  complain("#problem");
  if (!asked.prompt) return complain("#problem", text("nothing"));
  drawing?.abort();
  const mine = (drawing = new AbortController());
  busy(true);
  const sheet = gallery.begin(asked);
  const raws = [];
  try {
    for await (const event of api.draw(asked, mine.signal)) {
      if (event.type.endsWith("expansion") && event.index === 0) composer.showCaption(asked.prompt, event.text);
      if (event.type.endsWith("partial_image")) gallery.show(sheet, event.index, (raws[event.index] = api.png(event.b64_json)));
      if (event.type.endsWith("completed")) await gallery.add(sheet, event.index, pictureOf(event, raws));
    }
  } catch (error) {
    if (error.name === "AbortError") say(text("stopped"));
    else complain("#problem", error.message);
  } finally {
    await gallery.end(sheet);
    if (drawing === mine) busy(false);
  }
}

function pictureOf(event, raws) {
  const { seed, seconds, version, index } = event;
  return { png: api.png(event.b64_json), raw: raws[index] ?? null, seed, seconds, version, caption: event.revised_prompt };
}

function busy(on) {
  $("#go").hidden = on;
  $("#stop").hidden = !on;
  if (!on) drawing = null;
}

function stop() {
  drawing?.abort();
}

/** Go to a room. */
function enter(room) {
  for (const tab of document.querySelectorAll("[role=tab]")) {
    const here = tab.getAttribute("aria-controls") === room;
    tab.setAttribute("aria-selected", String(here));
    tab.tabIndex = here ? 0 : -1;
    $(`#${tab.getAttribute("aria-controls")}`).hidden = !here;
  }
}

/** A picture that was drawn here brings back its prompt; any other is one to restore. */
async function receive(file) {
  const told = await provenance(file);
  if ($("#restore").hidden && told?.drawings?.length) reuse(told.drawings[0], told.drawings.length);
  else take(file);
}

function reuse(drawn, count = 1) {
  enter("draw");
  composer.takeUp(drawn, count);
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

function showExamples() {
  $("#examples").replaceChildren(...text("examples").map((prompt) => {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.textContent = prompt;
    button.addEventListener("click", () => { $("#prompt").value = prompt; draw(); });
    item.append(button);
    return item;
  }));
}

showTheme();
showTexts();
showExamples();
listen();
listenToDrops();
composer.start();
restoring.start();
detail.start({ reuse, take });
gallery.start(detail.show);
