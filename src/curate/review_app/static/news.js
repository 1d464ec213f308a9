/**
 * What changes in the store while people work: newer versions, newer suspicions, classes that somebody has made.
 *
 *     GET /api/news every now and then ─▶ a line across the page that says so ─▶ POST /api/load when it is asked for
 */

import { h } from "./dom.js";
import { counted } from "./words.js";

/** @typedef {import("./types.js").News} News */
/** @typedef {import("./types.js").Ranking} Ranking */

const ASK_MS = 15_000;
const ASK_OFTEN_MS = 1_000; // while it ranks

export class NewsDesk {
  /** @type {News|null} */
  #last = null;
  #timer = 0;

  /** @param {import("./review.js").Review} review */
  constructor(review) {
    this.review = review;
    this.#later(ASK_MS);
  }

  /** Labels doubted anew, with what was decided. */
  async rank() {
    if (this.review.session.role !== "lead") return this.review.say("Only who leads the review ranks again.");
    await this.#try("rank", () => this.review.connection.post("/api/rank", {}).then((news) => this.take(news)));
  }

  /** @param {News|undefined} news */
  take(news) {
    if (!news?.ranking) return;
    const before = this.#last;
    this.#last = news;
    this.#takeClasses(news.classes);
    if (before && news.loads > before.loads) void this.#readSession();
    this.#drawOffer(news);
    this.#drawRanking(before, news);
    if (news.ranking.state === "running") this.#later(ASK_OFTEN_MS);
  }

  /** @param {number} wait */
  #later(wait) {
    clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => this.#ask(), wait);
  }

  async #ask() {
    this.#later(ASK_MS);
    if (document.hidden || this.review.connection.state !== "ok") return;
    await this.review.connection.get("/api/news").then(
      (news) => this.take(news),
      () => undefined, // the next time, or the next answer, says what is wrong
    );
  }

  /** In the order in which they came, after those that have number keys. @param {string[]} labels */
  #takeClasses(labels) {
    const { classes } = this.review.session;
    for (const label of labels) if (!classes.includes(label)) classes.push(label);
  }

  /** Numbers, filters and classes as they are now; what this tab holds stays. */
  async #readSession() {
    const { session, totals, queue, connection } = this.review;
    const fresh = await connection.get("/api/session").catch(() => null);
    if (!fresh) return;
    const { queues, splits, checks, version } = fresh;
    this.#takeClasses(fresh.classes);
    Object.assign(session, { queues, splits, checks, version });
    totals.clear();
    this.review.progress = await connection.get("/api/progress").catch(() => this.review.progress);
    void queue.fill();
    this.review.draw();
  }

  /** @param {News} news */
  #drawOffer({ version, suspicions }) {
    const { session, notices } = this.review;
    const newer = `${version} was made while ${session.version} is shown here. Your answers count in any case, and what you hold stays.`;
    const doubted = "Labels were doubted anew since this order was made. What you hold stays with you.";
    const text = version ? newer : suspicions ? doubted : "";
    const title = version ? `Load ${version}` : "Load the new order";
    notices.set("news", text, "busy", () => [h("button", { type: "button", onclick: () => this.#load() }, title)]);
  }

  async #load() {
    await this.#try("load", async () => {
      const loaded = await this.review.connection.post("/api/load", {});
      this.take(loaded.news);
      this.#tell(`${loaded.is_newer ? `${loaded.version} is shown now` : "Loaded"}: ${outcome(loaded)}.`);
    });
  }

  /** @param {string} name @param {() => Promise<void>} what */
  async #try(name, what) {
    try {
      await what();
      this.review.notices.set(name, "");
    } catch (error) {
      const { message, hint } = /** @type {{message: string, hint?: string}} */ (error);
      this.review.notices.tell(name, `${message} ${hint ?? ""}`, "bad");
    }
  }

  /** @param {News|null} before @param {News} news */
  #drawRanking(before, { ranking, loads }) {
    const { notices } = this.review;
    const running = ranking.state === "running";
    notices.set("ranking", running ? `Ranking again. ${step(ranking)} Go on meanwhile.` : "", "busy");
    if (!before || running) return;
    const ended = before.ranking.state === "running" || loads > before.loads;
    if (ranking.state === "failed" && before.ranking.state === "running")
      notices.tell("ranked", `${ranking.error} ${ranking.hint}`, "bad");
    else if (ranking.state === "done" && ranking.outcome && ended && before.ranking.outcome !== ranking.outcome)
      this.#tell(`Ranked again: ${outcome(ranking.outcome)}.`);
  }

  /** @param {string} text */
  #tell(text) {
    this.review.notices.tell("ranked", text, "good");
  }
}

/** @param {Ranking} ranking */
function step({ title, done, total }) {
  return total ? `${title}: ${Math.floor((100 * done) / total)} %.` : `${title} …`;
}

/** @param {{came: number, left: number}} loaded */
function outcome({ came, left }) {
  return `${counted(came, "new suspicion")}, ${left.toLocaleString("en")} no longer suspicious`;
}
