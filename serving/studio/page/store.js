/** The pictures stored in this browser: sheets of pictures that were drawn together, newest first. */

const MOST_SHEETS = 200;
const opened = new Promise((resolve, reject) => {
  const request = indexedDB.open("easel", 1);
  request.onupgradeneeded = () => request.result.createObjectStore("sheets", { keyPath: "id" });
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});

/** All sheets. */
export async function sheets() {
  const found = await run("readonly", (store) => store.getAll());
  return found.sort((one, other) => other.id - one.id);
}

/** Store or update a sheet; the oldest ones are removed if there are too many. */
export async function keep(sheet) {
  await run("readwrite", (store) => store.put(sheet));
  const ids = await run("readonly", (store) => store.getAllKeys());
  for (const id of ids.slice(0, -MOST_SHEETS)) await drop(id);
}

/** Delete a sheet. */
export const drop = (id) => run("readwrite", (store) => store.delete(id));

/** Delete all sheets. */
export const clear = () => run("readwrite", (store) => store.clear());

async function run(mode, act) {
  const database = await opened;
  return new Promise((resolve, reject) => {
    const request = act(database.transaction("sheets", mode).objectStore("sheets"));
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
