/** Sheets of pictures, new and stored ones. */

import { provenance } from "./png.js";
import { $, copyOf, showIn } from "./page.js";
import { clear, drop, keep, sheets } from "./store.js";
import { listOf, text } from "./text.js";

const all = [];
let open = () => {};

/** Show the stored sheets; `show` opens one picture. */
export async function start(show) {
  open = show;
  for (const sheet of (await sheets()).reverse()) show_(sheet);
  tidy();
  document.addEventListener("language", () => all.forEach(label));
}

/** A new sheet on top, with empty frames for the pictures to come. */
export function begin(asked) {
  const sheet = { id: Date.now(), asked, pictures: [] };
  show_(sheet);
  for (let index = 0; index < asked.n; index += 1) frame(sheet, index).classList.add("waiting");
  tidy();
  return sheet;
}

/** Show a drawing before it is refined. */
export function show(sheet, index, blob) {
  const image = $("img", frame(sheet, index));
  frame(sheet, index).classList.remove("waiting");
  image.classList.add("coming");
  showIn(image, blob);
}

/** Show a finished picture. */
export async function add(sheet, index, picture) {
  sheet.pictures[index] = picture;
  fill(sheet, index);
  await keep(bare(sheet));
}

/** Remove the frames that stayed empty. */
export async function end(sheet) {
  sheet.pictures = sheet.pictures.filter(Boolean);
  for (const item of [...$(".grid", sheet.element).children].slice(sheet.pictures.length)) item.remove();
  if (!sheet.pictures.length) {
    sheet.element.remove();
    all.splice(all.indexOf(sheet), 1);
  }
  tidy();
}

/** Delete one picture. */
export async function forget(sheet, index) {
  sheet.pictures.splice(index, 1);
  $(".grid", sheet.element).children[index].remove();
  await (sheet.pictures.length ? keep(bare(sheet)) : drop(sheet.id));
  await end(sheet);
}

/** Delete all pictures. */
export async function forgetAll() {
  await clear();
  for (const sheet of all.splice(0)) sheet.element.remove();
  tidy();
}

/** The picture before or after one, over all sheets; null at the ends. */
export function neighbour(sheet, index, step) {
  const shown = all.flatMap((each) => each.pictures.map((picture, at) => ({ sheet: each, index: at })));
  const here = shown.findIndex((each) => each.sheet === sheet && each.index === index);
  return shown[here + step] ?? null;
}

/** The inputs of one picture. */
export const drawingOf = (picture) => provenance(picture.png).then((told) => told?.drawings[0] ?? null);

function show_(sheet) {
  sheet.element = copyOf("sheet");
  $("h2", sheet.element).textContent = sheet.asked.prompt;
  sheet.pictures.forEach((picture, index) => fill(sheet, index));
  all.unshift(sheet);
  $("#history").prepend(sheet.element);
}

/** The caption, if all pictures of a sheet have the same. */
function captionOf(sheet) {
  const captions = new Set(sheet.pictures.filter(Boolean).map((picture) => picture.caption));
  const [only] = captions;
  return captions.size === 1 && only !== sheet.asked.prompt ? only : "";
}

function frame(sheet, index) {
  const grid = $(".grid", sheet.element);
  while (grid.children.length <= index) {
    const item = copyOf("frame");
    const button = $("button", item);
    button.setAttribute("aria-label", text("waiting"));
    button.addEventListener("click", () => {
      const at = [...grid.children].indexOf(item);
      if (sheet.pictures[at]) open(sheet, at);
    });
    grid.append(item);
  }
  return $("button", grid.children[index]);
}

function fill(sheet, index) {
  const button = frame(sheet, index);
  button.classList.remove("waiting");
  $("img", button).classList.remove("coming");
  showIn($("img", button), sheet.pictures[index].png);
  label(sheet);
}

function label(sheet) {
  $(".caption", sheet.element).textContent = captionOf(sheet);
  $(".unknown", sheet.element).textContent = reading(sheet.pictures.filter(Boolean));
  sheet.pictures.forEach((picture, index) => {
    const button = frame(sheet, index);
    const [seed, time] = [document.createElement("span"), document.createElement("span")];
    seed.textContent = text("seedOf", picture.seed);
    time.textContent = text("took", milliseconds(picture.seconds));
    $(".time", button).replaceChildren(seed, time);
    button.setAttribute("aria-label", text("picture", picture.caption, picture.seed));
  });
}

/** Corrections and unknown words in the prompts of pictures, as sentences. */
export function reading(pictures) {
  const corrected = new Set(pictures.map(({ readAs }) => readAs).filter(Boolean));
  const unknown = new Set(pictures.flatMap((picture) => picture.unknown ?? []));
  const sentences = [...corrected].map((prompt) => text("readAs", prompt));
  if (unknown.size) sentences.push(text("unknown", listOf([...unknown])));
  return sentences.join(" ");
}

export const milliseconds = (seconds) => (seconds < 0.01 ? (seconds * 1000).toFixed(1) : Math.round(seconds * 1000));

const bare = ({ id, asked, pictures }) => ({ id, asked, pictures: pictures.filter(Boolean) });

function tidy() {
  $("#after").hidden = all.length === 0;
}
