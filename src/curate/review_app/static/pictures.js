/** Pictures, decoded before they are needed: the next one is on the screen in the frame after the key. */

import { pictureAddress } from "./dom.js";

const KEPT = 12; // decoded pictures of 1600 px are about 8 MB each

/**
 * @typedef {object} Loading
 * @property {HTMLImageElement} image
 * @property {"loading"|"ready"|"failed"} state
 * @property {Promise<void>} settled
 */

/** The newest pictures of this tab; `get` returns at once. */
export class Pictures {
  /** @type {Map<string, Loading>} */
  #kept = new Map();
  /** @type {Set<string>} items whose small pictures were asked for */
  #prepared = new Set();

  /**
   * The picture of an item, which may still be loading; one that has failed is tried again by `forgetFailed` only.
   *
   * @param {string} id
   * @returns {Loading}
   */
  get(id) {
    const loading = this.#kept.get(id) ?? load(id);
    this.#kept.delete(id); // put it last: it is the newest now
    this.#kept.set(id, loading);
    for (const old of [...this.#kept.keys()].slice(0, -KEPT)) this.#kept.delete(old);
    return loading;
  }

  /** Try those again that failed, as the network is back. */
  forgetFailed() {
    this.#prepared.clear();
    for (const [id, loading] of this.#kept) if (loading.state === "failed") this.#kept.delete(id);
  }

  /**
   * Ask for the thumbnails of an item, so that they are there when it is shown.
   *
   * @param {import("./types.js").Item} item
   */
  prepare(item) {
    this.get(item.id);
    if (this.#prepared.has(item.id)) return;
    this.#prepared.add(item.id);
    new Image().src = pictureAddress(item.id, "thumb"); // for the history, in which it will stand
    for (const one of [...item.alike.given, ...item.alike.suggested]) new Image().src = pictureAddress(one.id, "thumb");
    if (item.copies.length > 1) for (const one of item.copies) new Image().src = pictureAddress(one.id, "screen");
  }
}

/** @param {string} id @returns {Loading} */
function load(id) {
  const image = new Image();
  image.draggable = false;
  image.src = pictureAddress(id, "screen");
  /** @type {Loading} */
  const loading = { image, state: "loading", settled: Promise.resolve() };
  loading.settled = image.decode().then(
    () => void (loading.state = "ready"),
    () => void (loading.state = "failed"),
  );
  return loading;
}
