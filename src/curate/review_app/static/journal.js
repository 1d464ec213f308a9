/**
 * Where a decision is kept in this browser until the server has it on disk: IndexedDB, else localStorage, else memory.
 *
 * An entry is written before it is sent and removed when it is acknowledged, so what is in here is what could be lost.
 */

/**
 * @typedef {object} Entry
 * @property {string} id of the decision
 * @property {string} owner project and reviewer; a decision is never sent under another name
 * @property {string} tab that it was made in
 * @property {number} at ms since 1970, growing within a tab
 * @property {import("./types.js").Decision} decision
 * @property {string} [refused] why the server does not take it
 */

/**
 * @typedef {object} Journal
 * @property {"indexeddb"|"localstorage"|"memory"} kind
 * @property {(entries: Entry[]) => Promise<void>} put add or replace
 * @property {() => Promise<Entry[]>} all oldest first
 * @property {(ids: string[]) => Promise<void>} remove
 */

const PREFIX = "curate-decision-";

/**
 * The best journal that this browser gives.
 *
 * @returns {Promise<Journal>}
 */
export async function openJournal() {
  for (const open of [openIndexed, openLocal]) {
    try {
      return await open();
    } catch {
      continue; // private windows and full disks refuse one or the other
    }
  }
  return memoryJournal();
}

/** @returns {Promise<Journal>} */
async function openIndexed() {
  const opening = indexedDB.open("curate-review", 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore("decisions", { keyPath: "id" });
  const database = await promised(opening);
  database.onversionchange = () => database.close(); // let a newer page have it
  const journal = indexedJournal(database);
  await journal.all();
  return journal;
}

/**
 * @param {IDBDatabase} database
 * @returns {Journal}
 */
function indexedJournal(database) {
  /** @param {(store: IDBObjectStore) => void} change */
  const write = (change) =>
    new Promise((/** @type {(value: void) => void} */ resolve, reject) => {
      // "strict": complete means on the disk, not on its way there.
      const transaction = database.transaction("decisions", "readwrite", { durability: "strict" });
      transaction.oncomplete = () => resolve();
      transaction.onabort = transaction.onerror = () => reject(transaction.error);
      change(transaction.objectStore("decisions"));
    });
  return {
    kind: "indexeddb",
    put: (entries) => write((store) => entries.forEach((entry) => store.put(entry))),
    remove: (ids) => write((store) => ids.forEach((id) => store.delete(id))),
    all: async () => inOrder(await promised(database.transaction("decisions").objectStore("decisions").getAll())),
  };
}

/** @returns {Promise<Journal>} */
async function openLocal() {
  localStorage.setItem(`${PREFIX}probe`, "1");
  localStorage.removeItem(`${PREFIX}probe`);
  const names = () => Object.keys(localStorage).filter((name) => name.startsWith(PREFIX));
  return {
    kind: "localstorage",
    put: async (entries) => entries.forEach((entry) => localStorage.setItem(PREFIX + entry.id, JSON.stringify(entry))),
    remove: async (ids) => ids.forEach((id) => localStorage.removeItem(PREFIX + id)),
    all: async () =>
      inOrder(
        names()
          .map((name) => JSON.parse(localStorage.getItem(name) ?? "null"))
          .filter(Boolean),
      ),
  };
}

/** @returns {Journal} */
function memoryJournal() {
  /** @type {Map<string, Entry>} */
  const kept = new Map();
  return {
    kind: "memory",
    put: async (entries) => entries.forEach((entry) => kept.set(entry.id, entry)),
    remove: async (ids) => ids.forEach((id) => kept.delete(id)),
    all: async () => inOrder([...kept.values()]),
  };
}

/** @param {Entry[]} entries */
function inOrder(entries) {
  return entries.sort((a, b) => a.at - b.at);
}

/**
 * @template T
 * @param {IDBRequest<T>} request
 * @returns {Promise<T>}
 */
function promised(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
    if (request instanceof IDBOpenDBRequest) request.onblocked = () => reject(new Error("blocked"));
  });
}
