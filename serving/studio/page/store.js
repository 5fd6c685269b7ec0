/** The pictures that this browser keeps: sheets of pictures that were drawn together, the newest first. */

const MOST_SHEETS = 200;
const opened = new Promise((resolve, reject) => {
  const request = indexedDB.open("easel", 1);
  request.onupgradeneeded = () => request.result.createObjectStore("sheets", { keyPath: "id" });
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});

/** Every sheet. */
export async function sheets() {
  const found = await run("readonly", (store) => store.getAll());
  return found.sort((one, other) => other.id - one.id);
}

/** Keep a sheet, or what became of it; the oldest make room. */
export async function keep(sheet) {
  await run("readwrite", (store) => store.put(sheet));
  const ids = await run("readonly", (store) => store.getAllKeys());
  for (const id of ids.slice(0, -MOST_SHEETS)) await drop(id);
}

/** Forget a sheet. */
export const drop = (id) => run("readwrite", (store) => store.delete(id));

/** Forget everything. */
export const clear = () => run("readwrite", (store) => store.clear());

async function run(mode, act) {
  const database = await opened;
  return new Promise((resolve, reject) => {
    const request = act(database.transaction("sheets", mode).objectStore("sheets"));
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
