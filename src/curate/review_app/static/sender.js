/**
 * Brings decisions from the journal to the server, in order, as often as it takes.
 *
 *     add ─▶ journal ─▶ POST ─▶ acknowledged ─▶ out of the journal
 *                         └─ no answer, 401, 429, 5xx: wait and send again; the same id counts once
 */

import { Refusal } from "./api.js";
import { afterPaint } from "./dom.js";
import { openJournal } from "./journal.js";

/** @typedef {import("./types.js").Decision} Decision */
/** @typedef {import("./journal.js").Entry} Entry */

const AT_ONCE = 100; // decisions in one request
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000; // short enough that nobody wonders whether it still tries

/** Fires "change" when anything that the badge shows has changed, "saved" (CustomEvent of {decisions, receipt}). */
export class Sender extends EventTarget {
  /** @type {Map<string, Entry>} what the server does not have yet, of this owner, oldest first */
  unsent = new Map();
  /** @type {Entry[]} of another reviewer or project; they wait until that one is served here again */
  foreign = [];
  /** @type {Refusal|null} why the newest try failed, where the server did answer */
  trouble = null;
  kind = "memory";

  /** @type {import("./journal.js").Journal|undefined} */
  #journal;
  #written = Promise.resolve();
  #sending = false;
  #failures = 0;
  #timer = 0;
  #clock = 0;
  #most = AT_ONCE;

  /**
   * @param {import("./api.js").Connection} connection
   * @param {string} project what tells it from others at this address
   * @param {string} reviewer
   * @param {string} tab
   */
  constructor(connection, project, reviewer, tab) {
    super();
    this.connection = connection;
    this.reviewer = reviewer;
    this.owner = `${project}|${reviewer}`;
    this.tab = tab;
    connection.addEventListener("change", () => connection.state === "ok" && this.send());
    addEventListener("online", () => this.send());
    addEventListener("beforeunload", (event) => this.#waiting().length && event.preventDefault());
  }

  /** Open the journal and send what an earlier page has left there. */
  async start() {
    this.#journal = await openJournal();
    this.kind = this.#journal.kind;
    await this.#readJournal();
    this.#changed();
    this.send();
  }

  /** How many decisions wait; without those that the server refused. */
  get waiting() {
    return this.#waiting().length;
  }

  get refused() {
    return [...this.unsent.values()].filter((entry) => entry.refused);
  }

  /**
   * Keep decisions, then send them.
   *
   * @param {Decision[]} decisions
   */
  async add(decisions) {
    const entries = decisions.map((decision) => this.#entry(decision));
    entries.forEach((entry) => this.unsent.set(entry.id, entry));
    this.#changed();
    this.#written = this.#written.then(() => this.#keep(entries));
    await this.#written;
    afterPaint(() => this.send());
  }

  /** Forget those that the server refused, when a person has read why. */
  async dismissRefused() {
    const ids = this.refused.map((entry) => entry.id);
    ids.forEach((id) => this.unsent.delete(id));
    await this.#forget(ids);
    this.#changed();
  }

  /** Send now what waits, unless a request is under way; it goes on until nothing waits. */
  async send() {
    if (this.#sending) return;
    this.#sending = true;
    clearTimeout(this.#timer);
    try {
      await this.#written;
      for (let batch = this.#batch(); batch.length; batch = this.#batch()) await this.#sendBatch(batch);
      this.#failures = 0;
      this.trouble = null;
    } catch (error) {
      this.#failed(error);
    } finally {
      this.#sending = false;
      this.#changed();
    }
  }

  /** @param {Decision} decision */
  #entry(decision) {
    this.#clock = Math.max(Date.now(), this.#clock + 0.001); // two within a millisecond keep their order
    return { id: decision.id, owner: this.owner, tab: this.tab, at: this.#clock, decision };
  }

  /** @param {Entry[]} entries */
  async #keep(entries) {
    try {
      await this.#journal?.put(entries);
    } catch {
      this.kind = "memory"; // the disk is full: what is unsent lives as long as this page, and the page says so
    }
  }

  /** @param {string[]} ids */
  async #forget(ids) {
    try {
      await this.#journal?.remove(ids);
    } catch {
      return; // it will be sent once more when the page is opened next, which does no harm
    }
  }

  async #readJournal() {
    for (const entry of (await this.#journal?.all()) ?? []) {
      if (entry.owner !== this.owner) this.foreign.push(entry);
      else this.unsent.set(entry.id, entry);
    }
  }

  #waiting() {
    return [...this.unsent.values()].filter((entry) => !entry.refused);
  }

  /** The oldest that wait, as many as were made in one tab. */
  #batch() {
    const waiting = this.#waiting();
    const end = waiting.findIndex((entry) => entry.tab !== waiting[0]?.tab);
    return waiting.slice(0, Math.min(end === -1 ? waiting.length : end, this.#most));
  }

  /** @param {Entry[]} batch */
  async #sendBatch(batch) {
    const decisions = batch.map((entry) => entry.decision);
    try {
      const receipt = await this.connection.post("/api/decisions", {
        tab: batch[0]?.tab,
        reviewer: this.reviewer,
        decisions,
      });
      await this.#received(batch, receipt);
    } catch (error) {
      await this.#narrow(batch, error);
    }
  }

  /**
   * @param {Entry[]} batch
   * @param {import("./types.js").Receipt} receipt
   */
  async #received(batch, receipt) {
    const refused = new Map((receipt.refused ?? []).map((one) => [one.id, one.why]));
    const stored = new Set([...(receipt.saved ?? []), ...(receipt.extra ?? [])]);
    const saved = batch.filter((entry) => stored.has(entry.id));
    if (!saved.length && !refused.size)
      throw new Refusal(500, "The server acknowledged nothing of what was sent.", "", 0);
    saved.forEach((entry) => this.unsent.delete(entry.id));
    await this.#forget(saved.map((entry) => entry.id));
    await this.#setAside(
      batch.filter((entry) => refused.has(entry.id)),
      refused,
    );
    this.#failures = 0;
    this.trouble = null;
    this.dispatchEvent(
      new CustomEvent("saved", { detail: { decisions: saved.map((entry) => entry.decision), receipt } }),
    );
    this.#changed();
  }

  /**
   * Too large: send less at once. One that the server can't read: set that one aside, the others go on.
   *
   * @param {Entry[]} batch
   * @param {unknown} error
   */
  async #narrow(batch, error) {
    if (!(error instanceof Refusal) || (error.status !== 413 && error.status !== 400)) throw error;
    if (batch.length > 1) this.#most = Math.ceil(batch.length / 2);
    else await this.#setAside(batch, new Map(batch.map((entry) => [entry.id, error.message])));
  }

  /**
   * @param {Entry[]} entries
   * @param {Map<string, string>} reasons
   */
  async #setAside(entries, reasons) {
    entries.forEach((entry) => (entry.refused = reasons.get(entry.id)));
    if (entries.length) await this.#keep(entries);
  }

  /** @param {unknown} error */
  #failed(error) {
    this.trouble = error instanceof Refusal && error.status !== 401 ? error : null;
    const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.#failures++) * (0.75 + Math.random() / 2);
    const asked = error instanceof Refusal ? error.waitSeconds * 1000 : 0;
    this.#timer = window.setTimeout(() => this.send(), Math.max(wait, asked));
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
