/** The name of this tab: two tabs never share one, and a reload keeps its own, so that it gets its leases back. */

import { randomHex } from "./words.js";

const STORED = "curate-review-tab";

/** @returns {Promise<string>} */
export async function tabName() {
  const before = stored();
  if (before && (await isOurs(before))) return before;
  const fresh = randomHex(16);
  await isOurs(fresh);
  try {
    sessionStorage.setItem(STORED, fresh);
  } catch {
    return fresh; // after a reload it is another tab, and waits a minute for its own leases
  }
  return fresh;
}

function stored() {
  try {
    return sessionStorage.getItem(STORED);
  } catch {
    return null;
  }
}

/**
 * Hold the name for as long as this page lives. A duplicated tab copies the name, and finds it held.
 *
 * @param {string} name
 * @returns {Promise<boolean>}
 */
function isOurs(name) {
  if (!navigator.locks) return Promise.resolve(false); // no secure context: every page load is a tab of its own
  return new Promise((resolve) => {
    navigator.locks.request(`${STORED}-${name}`, { ifAvailable: true }, (lock) => {
      resolve(lock !== null);
      return lock ? new Promise(() => {}) : undefined;
    });
  });
}
