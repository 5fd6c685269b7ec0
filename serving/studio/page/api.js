/** The server, as the page asks it; see /openapi.json. */

import { text } from "./text.js";

export class Refused extends Error {}

let token = localStorage.getItem("token") ?? "";

/** What the model that draws reports about itself; nothing if no server answers. */
export async function facts() {
  try {
    return await (await ask("v1/models/text_to_image")).json();
  } catch {
    return {};
  }
}

let turn = Promise.resolve();

/** Draw: yields the events as they come, until the signal aborts it. Only one drawing is in flight at a time. */
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

/** A finished drawing; `raw` is the picture before it was restored. */
export function pictureOf(event, raw = null) {
  const { seed, seconds, version, revised_prompt: caption, unknown_words: unknown, read_as: readAs } = event;
  return { png: png(event.b64_json), raw, seed, seconds, version, caption, unknown, readAs };
}

/** What each word of a caption draws. */
export async function influences(asked, signal) {
  return (await (await ask("v1/images/words", asked, signal)).json()).words;
}

/** Restore a picture: a form with the files `image` and perhaps `mask`; gives a PNG. */
export async function mend(form) {
  const { data } = await (await ask("v1/images/edits", form)).json();
  return png(data[0].b64_json);
}

/** A PNG from base64. */
export function png(encoded) {
  return new Blob([Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0))], { type: "image/png" });
}

/** Send a body, or get without one; a path is relative, since a proxy may have put the page under one of its own. */
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
      // Another call may have asked meanwhile: then this one knocks again.
      if (token === shown) await askForToken();
    } else throw new Refused((await response.json()).error.message);
  }
}

let asking = null;

/** Open the gate once, however many calls wait before it. */
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

/** Server-sent events of a body, each one's data read as JSON. */
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

/** A stream's chunks; not every browser can loop over a stream itself. */
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
