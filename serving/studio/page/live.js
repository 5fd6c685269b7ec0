/** The live picture, which is updated while the user types. */

import { draw, pictureOf } from "./api.js";
import * as composer from "./composer.js";
import * as gallery from "./gallery.js";
import { $, complain, say, showIn } from "./page.js";
import { text } from "./text.js";

const PAUSE = 120;
let timer = 0;
let current = new AbortController();
let busy = false;
let behind = false;
let shown = null;

/** Add the listeners. */
export function start() {
  $("#keep-live").addEventListener("click", keep);
  document.addEventListener("language", label);
}

/** Draw after a short pause in the typing; a drawing in flight is out of date and aborted. */
export function typed() {
  stop();
  timer = setTimeout(follow, PAUSE);
}

/** Draw the current request, after the drawing in flight is finished. */
export async function follow() {
  behind = true;
  if (busy) return;
  busy = true;
  while (behind) {
    behind = false;
    await once();
  }
  busy = false;
}

/** Stop drawing. */
export function stop() {
  clearTimeout(timer);
  behind = false;
  current.abort();
}

/** Show a picture with its request. */
export function show(asked, picture) {
  shown = { asked, picture };
  const nearer = asked.share >= 0.5 ? asked.to_prompt ?? asked.prompt : asked.prompt;
  composer.showCaption(nearer, picture.caption);
  showIn($("#live-picture"), picture.png);
  label();
}

async function once() {
  const asked = { ...composer.asked(), n: 1 };
  current = new AbortController();
  if (!asked.prompt) return clear();
  $("#live").setAttribute("aria-busy", "true");
  try {
    for await (const event of draw(asked, current.signal)) {
      if (event.type.endsWith("expansion")) composer.showCaption(asked.prompt, event.text);
      if (event.type.endsWith("completed")) show(asked, pictureOf(event));
    }
    complain("#problem");
  } catch (error) {
    if (error.name !== "AbortError") complain("#problem", error.message);
  }
  $("#live").removeAttribute("aria-busy");
}

function clear() {
  shown = null;
  composer.showCaption("", "");
  $("#live-picture").removeAttribute("src");
  label();
}

/** Label the picture in the language of the page. */
function label() {
  const { picture } = shown ?? {};
  $("#live-picture").alt = picture ? text("picture", picture.caption, picture.seed) : "";
  $("#unknown").textContent = picture ? gallery.reading([picture]) : "";
  $("#live-time").textContent = picture ? text("took", gallery.milliseconds(picture.seconds)) : "";
  $("#keep-live").disabled = !picture;
}

async function keep() {
  const sheet = gallery.begin(shown.asked);
  await gallery.add(sheet, 0, shown.picture);
  await gallery.end(sheet);
  say(text("kept"));
}
