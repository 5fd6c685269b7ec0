/** Calls of the server's API; see /openapi.json. */

import { text } from "./text.js";

export class Refused extends Error {}

let token = localStorage.getItem("token") ?? "";

/** The facts of the model that draws; nothing if no server answers. */
export async function facts() {
  try {
    return await (await ask("v1/models/text_to_image")).json();
  } catch {
    return {};
  }
}

let turn = Promise.resolve();

/** Draw: yields events as they arrive, until the signal aborts it. Only one drawing is in flight at a time. */
export async function* draw(asked, signal) {
  const before = turn;
  let done;
  turn = new Promise((resolve) => { done = resolve; });
  try {
    await before;
    const response = await ask("v1/images/generations", { ...asked, stream: true }, signal);
    for await (const event of events(response.body)) {
      if (event.error) throw new Refused(event.error.message);
      yield event;
    }
  } finally {
    done();
  }
}

/** A finished drawing; `raw` is the picture before it was refined. */
export function pictureOf(event, raw = null) {
  const { seed, seconds, version, revised_prompt: caption, unknown_words: unknown, read_as: readAs } = event;
  return { png: png(event.b64_json), raw, seed, seconds, version, caption, unknown, readAs };
}

/** The effect of each word of a caption. */
export async function influences(asked, signal) {
  return (await (await ask("v1/images/words", asked, signal)).json()).words;
}

/** Restore a picture, given a form with the file `image` and optionally `mask`; returns a PNG. */
export async function restore(form) {
  const { data } = await (await ask("v1/images/edits", form)).json();
  return png(data[0].b64_json);
}

/** A PNG from base64. */
export function png(encoded) {
  return new Blob([Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0))], { type: "image/png" });
}

/** Send a body, or get without one; paths are relative, because the page may be behind a proxy with a path prefix. */
async function ask(path, body, signal) {
  for (;;) {
    const isForm = body instanceof FormData;
    const headers = { ...(isForm || !body ? {} : { "Content-Type": "application/json" }) };
    const shown = token;
    if (shown) headers.Authorization = `Bearer ${shown}`;
    const sent = { method: body ? "POST" : "GET", body: isForm ? body : JSON.stringify(body), headers, signal };
    const response = await fetch(path, sent).catch((error) => {
      throw error.name === "AbortError" ? error : new Refused(text("gone"));
    });
    if (response.ok) return response;
    if (response.status === 401) {
      // Another call may have received a token meanwhile: then this one tries again.
      if (token === shown) await askForToken();
    } else throw new Refused((await response.json()).error.message);
  }
}

let asking = null;

/** Ask for the token once, even if several calls wait for it. */
function askForToken() {
  const gate = document.querySelector("#gate");
  asking ??= new Promise((open) => {
    gate.showModal();
    gate.addEventListener("close", () => {
      token = document.querySelector("#token").value.trim();
      localStorage.setItem("token", token);
      asking = null;
      open();
    }, { once: true });
  });
  return asking;
}

/** The server-sent events of a body, with their data parsed as JSON. */
async function* events(body) {
  let rest = "";
  for await (const chunk of pieces(body.pipeThrough(new TextDecoderStream()))) {
    const blocks = (rest + chunk).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const data = block.split("\n").find((line) => line.startsWith("data: "));
      if (data) yield JSON.parse(data.slice(6));
    }
  }
}

/** The chunks of a stream; not every browser can iterate over a stream. */
async function* pieces(stream) {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    // An aborted stream rejects.
    reader.cancel().catch(() => {});
  }
}
