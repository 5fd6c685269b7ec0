/** Restoration: painting a mask, sending the picture, and comparing the result. */

import * as api from "./api.js";
import { milliseconds } from "./gallery.js";
import { $, complain, offer, showIn } from "./page.js";
import { text } from "./text.js";

const canvas = $("#canvas");
const holes = document.createElement("canvas");
let picture = null;
let name = "picture";
let cursor = null;
let painted = false;

/** Add the listeners. */
export function start() {
  $("#file").addEventListener("change", () => { if ($("#file").files[0]) take($("#file").files[0]); });
  canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); stroke(event); });
  canvas.addEventListener("pointermove", (event) => { if (event.buttons) stroke(event); });
  canvas.addEventListener("keydown", byKeyboard);
  canvas.addEventListener("blur", () => { cursor = null; show(); });
  $("#clear").addEventListener("click", wipe);
  $("#restoring").addEventListener("input", showValues);
  $("#restoring").addEventListener("submit", (event) => { event.preventDefault(); restore(); });
  $("#repaint").addEventListener("click", () => compare(false));
  $("#another").addEventListener("click", () => { $("#file").value = ""; $("#file").click(); });
  $("#slider").addEventListener("input", () => $("#compare").style.setProperty("--at", `${$("#slider").value}%`));
  showValues();
}

/** Open a picture. */
export async function take(blob) {
  complain("#restoring-problem");
  try {
    picture = await createImageBitmap(blob);
  } catch {
    complain("#restoring-problem", text("notRead"));
    if (!picture) $("#dropzone span").textContent = text("notRead");
    return;
  }
  name = (blob.name ?? "picture").replace(/\.\w+$/, "");
  picture.source = blob;
  for (const each of [canvas, holes]) [each.width, each.height] = [picture.width, picture.height];
  $("#dropzone").hidden = true;
  $("#bench").hidden = false;
  const most = Math.max(4, Math.round(Math.max(picture.width, picture.height) / 4));
  $("#brush-size").max = most;
  $("#brush-size").value = Math.max(1, Math.round(most / 3));
  showValues();
  wipe();
  compare(false);
}

function wipe() {
  holes.getContext("2d").clearRect(0, 0, holes.width, holes.height);
  painted = false;
  show();
}

function stroke(event) {
  const box = canvas.getBoundingClientRect();
  dab((event.offsetX / box.width) * canvas.width, (event.offsetY / box.height) * canvas.height);
}

function dab(x, y) {
  const size = Number($("#brush-size").value);
  const context = holes.getContext("2d");
  context.fillStyle = "#fff";
  const left = Math.round(x - size / 2);
  const top = Math.round(y - size / 2);
  if (size < 4) context.fillRect(left, top, size, size);
  else {
    context.beginPath();
    context.arc(x, y, size / 2, 0, 2 * Math.PI);
    context.fill();
  }
  painted = true;
  show();
}

function byKeyboard(event) {
  const step = Math.max(1, Math.round(Number($("#brush-size").value) / 2));
  const [dx, dy] = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key] ?? [0, 0];
  const paints = event.key === " ";
  if (!dx && !dy && !paints) return;
  event.preventDefault();
  cursor ??= [canvas.width / 2, canvas.height / 2];
  cursor = [clamp(cursor[0] + dx, canvas.width), clamp(cursor[1] + dy, canvas.height)];
  if (paints) dab(...cursor);
  show();
}

const clamp = (value, most) => Math.min(Math.max(value, 0), most);

/** The picture, the paint over it, and where the keyboard's brush is. */
function show() {
  if (!picture) return;
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.drawImage(picture, 0, 0);
  const paint = new OffscreenCanvas(holes.width, holes.height);
  const over = paint.getContext("2d");
  over.drawImage(holes, 0, 0);
  over.globalCompositeOperation = "source-in";
  over.fillStyle = "rgb(214 64 100)";
  over.fillRect(0, 0, paint.width, paint.height);
  context.globalAlpha = 0.8;
  context.drawImage(paint, 0, 0);
  context.globalAlpha = 1;
  if (!cursor) return;
  const size = Number($("#brush-size").value);
  context.strokeStyle = "#000";
  context.strokeRect(cursor[0] - size / 2, cursor[1] - size / 2, size, size);
}

function showValues() {
  for (const each of ["noise", "blur"]) $(`#${each}-value`).textContent = $(`#${each}`).value;
  $("#brush-value").textContent = $("#brush-size").value;
  $("#noise").disabled = $("#estimate").checked;
}

async function restore() {
  complain("#restoring-problem");
  const blur = Number($("#blur").value);
  if (blur && painted) return complain("#restoring-problem", text("blurAndHoles"));
  const form = new FormData();
  form.append("image", picture.source, "picture");
  if (painted) form.append("mask", await mask(), "mask.png");
  if (!$("#estimate").checked) form.append("noise_sigma", $("#noise").value);
  if (blur) form.append("blur_sigma", blur);
  form.append("enlarge", $("#enlarge").checked);
  $("#restore-now").disabled = true;
  $("#told").textContent = text("working");
  const began = performance.now();
  try {
    const result = await api.restore(form);
    $("#told").textContent = text("restored", milliseconds((performance.now() - began) / 1000));
    showIn($("#before"), picture.source);
    showIn($("#after-image"), result);
    offer($("#keep"), result, `${name} restored`);
    compare(true);
    $("#slider").focus();
  } catch (error) {
    $("#told").textContent = "";
    complain("#restoring-problem", error.message);
  } finally {
    $("#restore-now").disabled = false;
  }
}

/** The mask: white where there is paint, black elsewhere. */
function mask() {
  const out = document.createElement("canvas");
  [out.width, out.height] = [holes.width, holes.height];
  const context = out.getContext("2d");
  context.fillRect(0, 0, out.width, out.height);
  context.drawImage(holes, 0, 0);
  return new Promise((resolve) => out.toBlob(resolve, "image/png"));
}

function compare(on) {
  $("#compare").hidden = !on;
  canvas.hidden = on;
  for (const each of ["#repaint", "#keep"]) $(each).hidden = !on;
  if (!on) $("#told").textContent = "";
}
