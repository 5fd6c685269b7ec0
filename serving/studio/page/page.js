/** Helpers for every part of the page. */

export const $ = (selector, inside = document) => inside.querySelector(selector);

/** A copy of the contents of a template. */
export const copyOf = (template) => $(`#${template}`).content.firstElementChild.cloneNode(true);

/** Show a short message for a moment. */
export function say(sentence) {
  const said = $("#said");
  said.textContent = sentence;
  said.hidden = false;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => { said.hidden = true; }, 4000);
}

/** Show an error; without an argument, hide it. */
export function complain(selector, sentence = "") {
  $(selector).textContent = sentence;
  $(selector).hidden = !sentence;
}

/** Show a picture in an <img>, and release the previous one. */
export function showIn(image, blob) {
  if (image.src.startsWith("blob:")) URL.revokeObjectURL(image.src);
  image.src = URL.createObjectURL(blob);
}

/** The pixels of a picture. */
export async function pixels(blob) {
  const bitmap = await createImageBitmap(blob);
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d");
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, bitmap.width, bitmap.height);
}

/** Make a link save a picture under a descriptive name. */
export function offer(link, blob, name) {
  if (link.href.startsWith("blob:")) URL.revokeObjectURL(link.href);
  link.href = URL.createObjectURL(blob);
  link.download = `${name.replace(/[^\p{L}\p{N}]+/gu, "-").slice(0, 60) || "picture"}.png`;
}
