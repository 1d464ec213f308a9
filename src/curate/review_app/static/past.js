/** What this reviewer decided, newest last, and what was taken back: undo and redo without end, across reloads. */

import { actionOfId, listOf } from "./words.js";

/** @typedef {import("./types.js").Decision} Decision */
/** @typedef {{decisions: Decision[], path: string}} Step one action; a grid's has many decisions */

/** Fires "change". */
export class Past extends EventTarget {
  /** @type {Step[]} */
  done = [];
  /** @type {Step[]} */
  undone = [];
  #asked = 0;
  #complete = false;

  /** @param {import("./api.js").Connection} connection */
  constructor(connection) {
    super();
    this.connection = connection;
  }

  /**
   * Begin with what the server remembers and what the journal still holds.
   *
   * @param {Decision[]} unsent
   */
  async start(unsent) {
    const backs = new Set(unsent.map((decision) => decision.undoes).filter(Boolean));
    const answers = unsent.filter((decision) => decision.answer !== "undo" && !backs.has(decision.id));
    this.done = stepsOf(answers.map((decision) => ({ decision, path: "" })));
    await this.#older(backs);
    this.dispatchEvent(new Event("change"));
  }

  /** @param {Step} step */
  record(step) {
    this.done.push(step);
    this.undone = [];
    this.dispatchEvent(new Event("change"));
  }

  /**
   * Take back a step, by default the newest; null if there is none.
   *
   * @param {Step} [step]
   * @returns {Promise<Step|null>}
   */
  async takeBack(step) {
    if (!this.done.length)
      await this.#older(new Set(this.undone.flatMap((one) => one.decisions.map((decision) => decision.id))));
    const index = step ? this.done.indexOf(step) : this.done.length - 1;
    const [taken] = index >= 0 ? this.done.splice(index, 1) : [];
    if (!taken) return null;
    this.undone.push(taken);
    this.dispatchEvent(new Event("change"));
    return taken;
  }

  /**
   * The step that was taken back last, said again under new ids; null if there is none.
   *
   * @param {(decisions: Decision[]) => Decision[]} renewed
   * @returns {Step|null}
   */
  sayAgain(renewed) {
    const step = this.undone.pop();
    if (!step) return null;
    const again = { ...step, decisions: renewed(step.decisions) };
    this.done.push(again);
    this.dispatchEvent(new Event("change"));
    return again;
  }

  /**
   * Ask the server for more of the past.
   *
   * @param {Set<unknown>} takenBack ids of decisions that it may not know to be taken back
   */
  async #older(takenBack) {
    if (this.#complete) return;
    const count = this.#asked ? this.#asked * 4 : 32;
    try {
      const { events = [] } = await this.connection.get("/api/history", { count });
      this.#complete = events.length < count || count > 4000;
      this.#asked = count;
      const known = new Set(this.done.flatMap((step) => step.decisions.map((decision) => decision.id)));
      const standing = events.filter(
        (/** @type {any} */ one) =>
          one.answer !== "undo" && !one.undone && !takenBack.has(one.id) && !known.has(one.id),
      );
      this.done = [...stepsOf(standing.reverse().map(asDecision)), ...this.done];
    } catch {
      return; // the network is away: what is here can be taken back all the same
    }
  }
}

/**
 * @param {any} event of the history
 * @returns {{decision: Decision, path: string}}
 */
function asDecision(event) {
  const { id, answer, label, note, path } = event;
  const item = event.item ?? ""; // null where the newest version lacks the picture
  const decision = {
    id,
    item,
    answer,
    note,
    mode: /** @type {const} */ ("single"),
    shown_at: "",
    client_at: "",
    seconds: 0,
  };
  return {
    decision: answer === "both" ? { ...decision, labels: event.labels ?? listOf(label) } : { ...decision, label },
    path,
  };
}

/**
 * Those that belong to one action, together.
 *
 * @param {{decision: Decision, path: string}[]} answers oldest first
 * @returns {Step[]}
 */
function stepsOf(answers) {
  /** @type {Step[]} */
  const steps = [];
  for (const { decision, path } of answers) {
    const last = steps.at(-1);
    const first = last?.decisions[0];
    if (last && first && actionOfId(first.id) === actionOfId(decision.id)) last.decisions.push(decision);
    else steps.push({ decisions: [decision], path });
  }
  return steps;
}
