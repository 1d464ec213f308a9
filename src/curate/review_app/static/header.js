/** The line above: where one is, how it goes, and whether everything is saved. */

import { fill, h, keycap, word } from "./dom.js";
import { duration, percent } from "./words.js";

/** @typedef {import("./types.js").Progress} Progress */

/**
 * @typedef {object} Standing
 * @property {string} queue title
 * @property {boolean} filtered
 * @property {number} done
 * @property {number} total
 * @property {number} left
 * @property {Progress|null} progress
 * @property {boolean} grid
 */

export class Header {
  #last = "";

  /**
   * @param {Element} element
   * @param {import("./types.js").Session} session
   * @param {import("./keys.js").Keys} keys
   * @param {(action: string) => void} act
   */
  constructor(element, session, keys, act) {
    this.keys = keys;
    this.queue = h("button", { type: "button", "data-action": "queues", onclick: () => act("queues") });
    this.numbers = h("p", { class: "numbers" });
    this.badge = h("p", { class: "badge" });
    this.grid = h("button", { type: "button", "data-action": "grid", onclick: () => act("grid") });
    const team = { type: "button", "data-action": "team", hidden: session.role !== "lead", onclick: () => act("team") };
    this.team = h("button", team);
    this.help = h("button", { type: "button", "data-action": "help", onclick: () => act("help") });
    const name = h("h1", {}, word(session.project), h("span", { class: "hidden" }, " review"));
    const who = h(
      "button",
      { type: "button", class: "who soft", "data-action": "person", onclick: () => act("person") },
      h("span", { class: "hidden" }, "Reviewer: "),
      word(session.reviewer),
    );
    fill(
      element,
      name,
      this.queue,
      this.numbers,
      h("div", { class: "row end" }, this.badge, this.grid, this.team, this.help, who),
    );
  }

  /** @param {Standing} standing */
  show(standing) {
    const drawn = JSON.stringify([standing, this.keys.cap("queues"), ...["grid", "team", "help"].map((name) => this.keys.cap(name))]);
    if (drawn === this.#last) return;
    this.#last = drawn;
    fill(this.queue, this.#cap("queues"), standing.queue, standing.filtered && " (filtered)");
    fill(this.grid, this.#cap("grid"), standing.grid ? "One by one" : "Grid");
    fill(this.team, this.#cap("team"), "Team");
    fill(this.help, this.#cap("help"), "Help");
    fill(this.numbers, ...numbers(standing));
  }

  /**
   * Whether everything is saved; at once, as it must never say so when it is not.
   *
   * @param {{text: string, tone: string}} badge
   */
  tell({ text, tone }) {
    if (this.badge.textContent === text) return;
    this.badge.className = `badge ${tone}`;
    this.badge.textContent = text;
  }

  /** @param {string} action */
  #cap(action) {
    const text = this.keys.cap(action);
    return text && keycap(text);
  }
}

/** @param {Standing} standing */
function numbers({ done, total, left, filtered, progress }) {
  const place = filtered ? `${left} left` : `${done} of ${total}`;
  const pace = progress?.per_minute ? `${Math.round(progress.per_minute)} per min` : "";
  const parts = [place, pace, progress?.per_minute ? duration(left / progress.per_minute) : "", estimated(progress)];
  return parts.filter(Boolean).map((part) => h("span", {}, part));
}

/** @param {Progress|null} progress */
function estimated(progress) {
  const estimate = progress?.estimate;
  if (!estimate || !estimate.checked || estimate.upper === null || estimate.upper === undefined) return "";
  return `≤ ${percent(estimate.upper)} wrong (${estimate.checked} of ${estimate.planned})`;
}
