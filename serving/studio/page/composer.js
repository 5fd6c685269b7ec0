/** The prompt, its expansion, and the settings. */

import { complete } from "./api.js";
import { $, debounced } from "./page.js";

const prompt = $("#prompt");
const edited = $("#edited");
let preview = new AbortController();

/** What is asked for, as the API takes it. */
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
  };
}

/** Take up prompt and settings, as a picture tells them. */
export function takeUp(drawing, count = 1) {
  editing(false);
  prompt.value = drawing.prompt;
  $("#seed").value = drawing.seed;
  $("#count").value = count;
  $("#temperature").value = drawing.temperature ?? 0.3;
  $("#expand").checked = drawing.expand;
  $("#refine").checked = drawing.refine;
  $("#candidates").value = drawing.candidates ?? 1;
  $("#scale").value = drawing.scale ?? 1;
  showValues();
  remember();
  showCaption(drawing.prompt, drawing.expanded_prompt);
}

/** Show a caption, with what the model added in colour. */
export function showCaption(before, caption) {
  const added = caption.startsWith(before) ? caption.slice(before.length) : "";
  const coloured = document.createElement("em");
  coloured.textContent = added || (caption.startsWith(before) ? "" : caption);
  $("#caption").replaceChildren(caption.startsWith(before) ? before : "", coloured);
}

/** Start: what was typed last comes back, and everything is listened to. */
export function start() {
  const last = JSON.parse(localStorage.getItem("asked") ?? "null");
  if (last) takeUp({ ...last, expanded_prompt: "" }, last.n);
  showValues();
  $("#composer").addEventListener("input", () => { showValues(); remember(); foresee(); });
  $("#dice").addEventListener("click", () => {
    $("#seed").value = crypto.getRandomValues(new Uint32Array(1))[0] >>> 1;
    remember();
    foresee();
  });
  $("#edit").addEventListener("click", () => { editing(true); edited.focus(); });
  $("#unedit").addEventListener("click", () => { editing(false); foresee(); prompt.focus(); });
  prompt.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    $("#composer").requestSubmit();
  });
  foresee();
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
  for (const each of ["count", "temperature", "candidates", "scale"]) $(`#${each}-value`).textContent = $(`#${each}`).value;
}

function remember() {
  localStorage.setItem("asked", JSON.stringify({ ...asked(), prompt: prompt.value, expand: $("#expand").checked }));
}

/** Show what the prompt would become, while it is typed. */
const foresee = debounced(200, async () => {
  preview.abort();
  preview = new AbortController();
  const { prompt: before, seed, temperature, expand } = asked();
  if (!before || !expand) return showCaption(before, before);
  try {
    showCaption(before, await complete({ prompt: before, seed, temperature }, preview.signal));
  } catch {
    // The drawing itself will say what is wrong.
  }
});
