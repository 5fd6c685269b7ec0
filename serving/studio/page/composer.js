/** The prompt, its expansion, and the settings. */

import { $ } from "./page.js";
import { text } from "./text.js";

// The preferred side of pictures in pixels, and the side at scale 1 of a model that does not report it.
const [WANTED_SIZE, USUAL_SIZE] = [256, 64];
const prompt = $("#prompt");
const edited = $("#edited");
let size;

/** The current request, in the form of the API. */
export function asked() {
  const own = !edited.hidden;
  return {
    prompt: own ? edited.value : prompt.value.trim(),
    seed: Number($("#seed").value) || 0,
    n: Number($("#count").value),
    temperature: Number($("#temperature").value),
    expand: !own && $("#expand").checked,
    refine: $("#refine").checked,
    candidates: Number($("#candidates").value),
    scale: Number($("#scale").value),
    ...blended(),
  };
}

/** The other picture and the share of the blend; empty at the start of the slider. */
function blended() {
  const share = Number($("#share").value) / 100;
  if (!share) return {};
  return { share, to_prompt: $("#to-prompt").value.trim() || null, to_seed: Number($("#to-seed").value) || 0 };
}

/** Load prompt and settings from the provenance of a picture. */
export function takeUp(drawing, count = 1) {
  editing(false);
  prompt.value = drawing.prompt;
  $("#seed").value = drawing.seed;
  $("#count").value = count;
  $("#temperature").value = drawing.temperature ?? $("#temperature").defaultValue;
  $("#expand").checked = drawing.expand;
  $("#refine").checked = drawing.refine;
  $("#candidates").value = drawing.candidates ?? $("#candidates").defaultValue;
  $("#scale").value = drawing.scale ?? $("#scale").defaultValue;
  $("#share").value = 100 * (drawing.share ?? 0);
  $("#to-prompt").value = drawing.to_prompt ?? "";
  $("#to-seed").value = drawing.to_seed ?? 1;
  showValues();
  remember();
  showCaption(drawing.prompt, drawing.expanded_prompt);
}

/** Show a caption, with the words that the model added in colour. */
export function showCaption(before, caption) {
  const added = caption.startsWith(before) ? caption.slice(before.length) : "";
  const coloured = document.createElement("em");
  coloured.textContent = added || (caption.startsWith(before) ? "" : caption);
  $("#caption").replaceChildren(caption.startsWith(before) ? before : "", coloured);
}

/** Adapt the settings to the facts of the model. */
export function know(facts) {
  size = facts.picture_size;
  if (!localStorage.getItem("asked")) $("#scale").value = Math.round(WANTED_SIZE / (size ?? USUAL_SIZE));
  $("#blend").hidden = !facts.signatures?.includes("blend");
  showValues();
}

/** Restore the last prompt and listen. Calls `moved` when the blend's slider moves, and `typed` after other changes. */
export function start({ typed, moved }) {
  const last = JSON.parse(localStorage.getItem("asked") ?? "null");
  if (last) takeUp({ ...last, expanded_prompt: "" }, last.n);
  showValues();
  document.addEventListener("language", showValues);
  const changed = (event) => {
    showValues();
    remember();
    // Text that an input method is still composing is not drawn.
    if (!event.isComposing) (event.target.id === "share" ? moved : typed)();
  };
  $("#composer").addEventListener("input", changed);
  $("#composer").addEventListener("compositionend", changed);
  for (const dice of document.querySelectorAll("[data-dice]")) {
    dice.addEventListener("click", (event) => {
      $(`#${dice.dataset.dice}`).value = crypto.getRandomValues(new Uint32Array(1))[0] >>> 1;
      changed(event);
    });
  }
  $("#edit").addEventListener("click", () => { editing(true); edited.focus(); });
  $("#unedit").addEventListener("click", () => { editing(false); typed(); prompt.focus(); });
  prompt.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    $("#composer").requestSubmit();
  });
}

/** Use one of the example prompts. */
export function propose(proposal) {
  editing(false);
  prompt.value = proposal;
  remember();
}

function editing(on) {
  if (on) edited.value = $("#caption").textContent || prompt.value;
  edited.hidden = !on;
  $("#caption").hidden = on;
  $("#edit").hidden = on;
  $("#unedit").hidden = !on;
  $("#expand").disabled = on;
}

function showValues() {
  for (const each of ["count", "temperature", "candidates"]) $(`#${each}-value`).textContent = $(`#${each}`).value;
  const scale = Number($("#scale").value);
  $("#scale-value").textContent = size ? text("pixels", size * scale) : `× ${scale}`;
  $("#share-value").textContent = `${$("#share").value}%`;
}

function remember() {
  const { share, ...kept } = asked();
  localStorage.setItem("asked", JSON.stringify({ ...kept, prompt: prompt.value, expand: $("#expand").checked }));
}
