/** The provenance of a PNG, from the text chunk that `serving/provenance.py` writes. */

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];

/** The provenance of a picture, or null if it has none. */
export async function provenance(blob) {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  if (!SIGNATURE.every((byte, index) => bytes[index] === byte)) return null;
  const view = new DataView(bytes.buffer);
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = view.getUint32(at);
    const name = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (name === "iTXt") {
      const told = keyed(bytes.subarray(at + 8, at + 8 + length));
      if (told) return told;
    }
    at += 12 + length;
  }
  return null;
}

/** An iTXt chunk: keyword, two bytes on compression, language, translated keyword, text, with zeros between. */
function keyed(chunk) {
  const decoder = new TextDecoder();
  const end = chunk.indexOf(0);
  if (decoder.decode(chunk.subarray(0, end)) !== "Easel" || chunk[end + 1] !== 0) return null;
  const language = chunk.indexOf(0, end + 3);
  const text = chunk.subarray(chunk.indexOf(0, language + 1) + 1);
  try {
    return JSON.parse(decoder.decode(text));
  } catch {
    return null;
  }
}
