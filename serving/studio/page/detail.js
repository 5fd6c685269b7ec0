/** The large view of one picture, with its inputs and the effect of each word. */

import { influences, png } from "./api.js";
import { drawingOf, forget, milliseconds, neighbour } from "./gallery.js";
import { $, offer, pixels } from "./page.js";
import { currentLanguage, text } from "./text.js";

const dialog = $("#detail");
let shown = null;
let asking = new AbortController();

/** Add the listeners; `reuse` loads a drawing's settings, `take` a picture to restore. */
export function start({ reuse, take }) {
  $("#previous").addEventListener("click", () => step(-1));
  $("#next").addEventListener("click", () => step(1));
  $("#raw").addEventListener("click", toggleRaw);
  $("#reuse").addEventListener("click", async () => { dialog.close(); reuse(await drawingOf(shown.picture) ?? shown.told); });
  $("#take").addEventListener("click", () => { dialog.close(); take(shown.picture.png); });
  $("#remove").addEventListener("click", async () => { dialog.close(); await forget(shown.sheet, shown.index); });
  dialog.addEventListener("close", () => asking.abort());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (way) step(way);
  });
}

/** Show a picture of a sheet. */
export async function show(sheet, index) {
  const picture = sheet.pictures[index];
  const { prompt, refine, candidates, scale, share } = sheet.asked;
  const told = { ...sheet.asked, seed: picture.seed, expanded_prompt: picture.caption };
  shown = { sheet, index, picture, told, after: await pixels(picture.png) };
  if (!dialog.open) dialog.showModal();
  paint(shown.after);
  $("#large").setAttribute("aria-label", text("picture", picture.caption, picture.seed));
  $("#detail-title").textContent = prompt;
  $("#raw").hidden = !picture.raw;
  $("#raw").setAttribute("aria-pressed", "false");
  $("#previous").disabled = !neighbour(sheet, index, -1);
  $("#next").disabled = !neighbour(sheet, index, 1);
  $("#influence").textContent = "";
  offer($("#download"), picture.png, `${picture.caption} ${picture.seed}`);
  showFacts(told, picture);
  // A blend has no caption of its own.
  $("#words-hint").hidden = Boolean(share);
  if (share) $("#words").textContent = picture.caption;
  else await showWords(picture, { refine, candidates, scale });
}

function step(way) {
  const other = neighbour(shown.sheet, shown.index, way);
  if (other) show(other.sheet, other.index);
}

async function toggleRaw() {
  const on = $("#raw").getAttribute("aria-pressed") !== "true";
  $("#raw").setAttribute("aria-pressed", String(on));
  paint(on ? await pixels(shown.picture.raw) : shown.after);
}

function showFacts(told, picture) {
  const settings = [text("heat", told.temperature)];
  if (told.candidates > 1) settings.push(text("bestOf", told.candidates));
  if (told.share) settings.push(text("blended", Math.round(100 * told.share), told.to_prompt ?? told.prompt, told.to_seed));
  if (!told.expand) settings.push(text("withoutExpand"));
  if (!told.refine) settings.push(text("withoutRefine"));
  const facts = {
    seed: picture.seed,
    settings: settings.join(", "),
    size: `${shown.after.width} × ${shown.after.height}`,
    time: text("took", milliseconds(picture.seconds)),
    version: picture.version,
  };
  $("#facts").replaceChildren(...Object.entries(facts).flatMap(([name, fact]) => [element("dt", text(name)), element("dd", fact)]));
}

/** The caption, in which each word becomes a button when its effect is known. */
async function showWords(picture, how) {
  asking.abort();
  asking = new AbortController();
  const { caption, seed } = picture;
  $("#words").textContent = caption;
  let words;
  try {
    const pieces = [...new Intl.Segmenter(languageOf(caption), { granularity: "word" }).segment(caption)];
    words = await influences({ caption, seed, ...how, pieces: pieces.map((each) => each.segment) }, asking.signal);
  } catch (error) {
    if (error.name !== "AbortError") $("#influence").textContent = error.message;
    return;
  }
  const strongest = Math.max(...words.map((word) => word.strength), 1e-9);
  let end = 0;
  const letters = [...caption];
  const parts = words.flatMap((word) => {
    const before = letters.slice(end, word.start).join("");
    end = word.start + [...word.text].length;
    return [before, wordButton(word, word.strength / strongest)];
  });
  $("#words").replaceChildren(...parts, letters.slice(end).join(""));
}

function wordButton(word, strength) {
  const button = element("button", word.text);
  button.type = "button";
  button.style.setProperty("--strength", strength.toFixed(3));
  const light = async (on) => {
    for (const each of $("#words").children) each.setAttribute("aria-pressed", String(on && each === button));
    const percent = (word.strength * 100).toPrecision(2);
    const told = word.strength ? text("changed", word.text, percent) : text("unchanged", word.text);
    $("#influence").textContent = on ? told : "";
    paint(on ? spotlight(shown.after, await pixels(png(word.b64_json))) : shown.after);
  };
  button.setAttribute("aria-pressed", "false");
  button.addEventListener("pointerenter", () => light(true));
  button.addEventListener("pointerleave", () => light(false));
  button.addEventListener("focus", () => light(true));
  button.addEventListener("blur", () => light(false));
  button.addEventListener("click", () => light(true));
  return button;
}

/** The picture in grey, except for the pixels that change. */
function spotlight(picture, change) {
  const out = new ImageData(picture.width, picture.height);
  let most = 1;
  for (let at = 0; at < change.data.length; at += 4) most = Math.max(most, change.data[at]);
  for (let at = 0; at < out.data.length; at += 4) {
    const [red, green, blue] = picture.data.subarray(at, at + 3);
    const grey = 40 + 0.35 * (0.3 * red + 0.59 * green + 0.11 * blue);
    const share = Math.sqrt(change.data[at] / most);
    [red, green, blue].forEach((level, band) => { out.data[at + band] = share * level + (1 - share) * grey; });
    out.data[at + 3] = 255;
  }
  return out;
}

function paint(image) {
  const canvas = $("#large");
  canvas.width = image.width;
  canvas.height = image.height;
  canvas.getContext("2d").putImageData(image, 0, 0);
}

const languageOf = (caption) => (/\p{Script=Han}/u.test(caption) ? "zh" : currentLanguage());

function element(name, content) {
  const made = document.createElement(name);
  made.textContent = content;
  return made;
}
