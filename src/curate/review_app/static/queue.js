/**
 * The pictures that this tab holds: those it has decided on, the one that is shown, and a few that come next.
 *
 *     [decided] [decided] [looked past] ▶[shown] [next, decoded] [next] …   ◀─ GET /api/next, leased to this tab
 */

import { afterPaint } from "./dom.js";

/** @typedef {import("./types.js").Item} Item */
/** @typedef {import("./types.js").Decision} Decision */
/** @typedef {{name: string, label: string, check: string, split: string, text: string}} Filter */
/** @typedef {{item: Item, said: Decision[]|null}} Entry said: by this tab; several where one action decided a group */

const AHEAD = 6; // leased at once: enough to go on for some seconds without the network, few enough to share with others
const MOST_HELD = 60; // who looks past that many decides on some first
const KEPT_BEHIND = 200;
const RENEW_MS = 20_000; // a lease lasts 60 s
const ASK_AGAIN_MS = 5_000;
const DECODED_AHEAD = 3;

/** Fires "change" when what is shown or what is left has changed, "lost" when somebody else has the picture shown. */
export class Queue extends EventTarget {
  /** @type {Entry[]} */
  entries = [];
  cursor = 0;
  left = 0;
  /** @type {"loading"|"ready"|"empty"|"elsewhere"|"goal"} of the server's side */
  state = "loading";
  goal = false;
  /** @type {Error|null} */
  trouble = null;
  closed = false;

  #asking = false;
  #timer = 0;
  #renewal = 0;

  /**
   * @param {import("./api.js").Connection} connection
   * @param {import("./pictures.js").Pictures} pictures
   * @param {string} tab
   * @param {Filter} filter
   * @param {() => Set<string>} unsaved items whose answer the server does not have yet
   */
  constructor(connection, pictures, tab, filter, unsaved) {
    super();
    this.connection = connection;
    this.pictures = pictures;
    this.tab = tab;
    this.filter = filter;
    this.unsaved = unsaved;
    this.#renewal = window.setInterval(() => this.renew(), RENEW_MS);
  }

  get filtered() {
    return Boolean(this.filter.label || this.filter.check || this.filter.split || this.filter.text);
  }

  /** @returns {Entry|null} */
  get shown() {
    return this.entries[this.cursor] ?? null;
  }

  /** Undecided ones, the one that is shown included. */
  get held() {
    return this.entries.filter((entry) => !entry.said);
  }

  /** Stop asking; another queue takes over. */
  close() {
    this.closed = true;
    clearTimeout(this.#timer);
    clearInterval(this.#renewal);
  }

  /** Ask for more, if few are left; again later, where there may be some later. */
  async fill() {
    if (this.#asking || this.closed || this.#wanted <= 0) return;
    this.#asking = true;
    clearTimeout(this.#timer);
    try {
      this.#take(await this.#next());
      this.trouble = null;
    } catch (error) {
      this.trouble = /** @type {Error} */ (error);
    }
    this.#asking = false;
    if (this.closed) return;
    if (!this.held.length) this.#timer = window.setTimeout(() => this.fill(), ASK_AGAIN_MS);
    this.#changed();
  }

  /** How many more to ask for, counted from the picture that is shown: who only looks gets further ones too. */
  get #wanted() {
    const ahead = this.entries.slice(this.cursor).filter((entry) => !entry.said).length;
    return Math.min(AHEAD - ahead, MOST_HELD - this.held.length);
  }

  /** @returns {Promise<import("./types.js").Batch>} */
  #next() {
    const { name, ...rest } = this.filter;
    const not = [...new Set([...this.held.map((entry) => entry.item.id), ...this.unsaved()])].join(",");
    return this.connection.get("/api/next", { queue: name, tab: this.tab, count: this.#wanted, ...rest, not });
  }

  /** @param {import("./types.js").Batch} batch */
  #take(batch) {
    const had = new Set([...this.held.map((entry) => entry.item.id), ...this.unsaved()]);
    const fresh = batch.items.filter((item) => !had.has(item.id));
    const waiting = !this.held.length;
    const end = this.entries.length;
    this.entries.push(...fresh.map((item) => ({ item, said: null })));
    if (waiting && fresh.length) this.cursor = end;
    this.left = batch.left;
    this.goal = batch.state === "goal";
    this.state = batch.items.length
      ? "ready"
      : this.goal
        ? "goal"
        : batch.left > this.held.length
          ? "elsewhere"
          : "empty";
  }

  /**
   * Note what was said about the shown picture and go on to the next that is undecided.
   *
   * @param {Decision[]} said
   */
  decided(said) {
    if (this.shown) this.shown.said = said;
    this.forward();
  }

  /** Go to the next undecided picture; if there is none ahead, to the first that was looked past. */
  forward() {
    const ahead = this.entries.findIndex((entry, index) => index > this.cursor && !entry.said);
    const next = ahead === -1 ? this.entries.findIndex((entry) => !entry.said) : ahead;
    this.cursor = next === -1 ? this.entries.length : next;
    this.#forgetOld();
    this.#changed();
    afterPaint(() => this.fill());
  }

  /**
   * Look at the picture before or after, without deciding.
   *
   * @param {-1|1} step
   * @returns {boolean} whether there was one
   */
  look(step) {
    const to = this.cursor + step;
    if (to < 0 || to >= this.entries.length) return false;
    this.cursor = to;
    this.#changed();
    this.fill();
    return true;
  }

  /**
   * Show an item again, undecided, as what was said about it was taken back.
   *
   * @param {Item} item
   */
  returned(item) {
    const found = this.entries.findIndex((entry) => entry.item.id === item.id);
    if (found === -1) this.entries.splice(this.cursor, 0, { item, said: null });
    else this.cursor = found;
    const shown = this.shown;
    if (shown) shown.said = null;
    this.#changed();
  }

  /**
   * @param {string} id of an item
   * @param {Decision[]} said
   */
  saidAgain(id, said) {
    const entry = this.entries.find((one) => one.item.id === id);
    if (!entry) return;
    entry.said = said;
    if (entry === this.shown) this.forward();
  }

  /** Keep the leases; say so where one is lost. */
  async renew() {
    const items = this.held.map((entry) => entry.item.id);
    if (!items.length || document.hidden || this.closed) return;
    try {
      const { lost = [] } = await this.connection.post("/api/leases", { tab: this.tab, items });
      this.#lose(new Set(lost));
    } catch {
      return; // the next request says what is wrong
    }
  }

  /** @param {Set<string>} lost */
  #lose(lost) {
    if (!lost.size) return;
    const shown = this.shown;
    this.entries = this.entries.filter((entry) => entry === shown || entry.said || !lost.has(entry.item.id));
    this.cursor = shown ? this.entries.indexOf(shown) : this.entries.length;
    if (shown && !shown.said && lost.has(shown.item.id)) this.dispatchEvent(new Event("lost"));
    this.#changed();
    this.fill();
  }

  #forgetOld() {
    const surplus = Math.min(this.entries.length - KEPT_BEHIND, this.cursor);
    if (surplus <= 0) return;
    const dropped = this.entries.slice(0, surplus).filter((entry) => entry.said).length;
    const keep = this.entries.slice(0, surplus).filter((entry) => !entry.said);
    this.entries = [...keep, ...this.entries.slice(surplus)];
    this.cursor -= dropped;
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
    afterPaint(() => this.#prepare());
  }

  /** Ask for the pictures that come next. */
  #prepare() {
    for (let index = this.cursor; index < Math.min(this.cursor + DECODED_AHEAD + 1, this.entries.length); index++) {
      const entry = this.entries[index];
      if (entry) this.pictures.prepare(entry.item);
    }
  }
}
