/** A review session: what each action does, and how queue, screen, journal and history hang together. */

import { Grid } from "./grid.js";
import { Header } from "./header.js";
import { Keys, isTyping } from "./keys.js";
import { NewsDesk } from "./news.js";
import { Notices } from "./notices.js";
import { Past } from "./past.js";
import { Pictures } from "./pictures.js";
import { Queue } from "./queue.js";
import { Screen } from "./screen.js";
import { Sender } from "./sender.js";
import { REASONS, answerOf } from "./answers.js";
import { askNote, askReason, isDialogOpen } from "./dialogs.js";
import { askFilter, filterFromAddress, writeToAddress } from "./filters.js";
import { afterPaint, byId, fill, h, keycap } from "./dom.js";
import { actionOfId, counted, newIds, verdict } from "./words.js";
import { openGuideline } from "./guideline.js";
import { openPerson } from "./person.js";
import { openHelp } from "./help.js";
import { badge, drawNotices, drawPage } from "./states.js";
import { showPast } from "./history.js";

/** @typedef {import("./types.js").Item} Item */
/** @typedef {import("./types.js").Decision} Decision */
/** @typedef {Pick<Decision, "answer"|"label"|"labels"|"note"|"unclear">} Words */
/** @typedef {import("./queue.js").Filter} Filter */

const REMEMBERED = 300; // items, so that an undo shows its picture without the network

export class Review {
  /** @type {import("./types.js").Progress|null} */
  progress = null;
  /** @type {Map<string, string>} item -> note that waits for its answer */
  notes = new Map();
  /** @type {Map<string, number>} queue -> how much was in it */
  totals = new Map();
  /** @type {Map<string, Item>} */
  known = new Map();
  gridShown = false;
  #drawsSoon = false;
  #drawsRest = false;
  #pastChanged = false;
  /** @type {Queue} */
  queue;

  /**
   * @param {import("./api.js").Connection} connection
   * @param {import("./types.js").Session} session
   * @param {string} tab
   */
  constructor(connection, session, tab) {
    this.connection = connection;
    this.session = session;
    this.tab = tab;
    this.keys = new Keys();
    this.pictures = new Pictures();
    this.past = new Past(connection);
    this.notices = new Notices(byId("notices"));
    this.sender = new Sender(connection, session.store ?? session.project, session.reviewer, tab);
    const act = (/** @type {string} */ action) => this.act(action);
    this.header = new Header(byId("header"), session, this.keys, act);
    this.screen = new Screen(this.pictures, this.keys, session.classes, act, (id) => this.notes.get(id) ?? "");
    this.screen.readGuideline = (label) => connection.get("/api/guideline", { label });
    this.grid = new Grid(connection, tab, (marks, seconds, shownAt) => this.#saveGrid(marks, seconds, shownAt), act);
    this.page = h("div", { class: "page", hidden: true });
    this.queue = this.#openQueue(filterFromAddress(session));
    this.listed = new Set(session.classes);
    this.news = new NewsDesk(this);
  }

  /** Show it, and send what an earlier page left. */
  async start() {
    document.title = `${this.session.project}: curate review`;
    fill(byId("main"), this.screen.element, this.grid.element, this.page);
    this.#listen();
    this.draw();
    await this.sender.start();
    this.queue.fill();
    await this.past.start([...this.sender.unsent.values()].map((entry) => entry.decision));
    this.progress ??= await this.connection.get("/api/progress").catch(() => null);
    this.news.take(this.progress?.news);
    this.draw();
  }

  #listen() {
    document.addEventListener("keydown", (event) => this.#press(event));
    document.addEventListener("click", (event) => this.#unfocus(event));
    document.addEventListener("visibilitychange", () => !document.hidden && this.queue.renew());
    this.past.addEventListener("change", () => {
      this.#pastChanged = true;
      this.draw();
    });
    this.sender.addEventListener("change", () => this.draw());
    this.sender.addEventListener("saved", (event) => this.#saved(/** @type {CustomEvent} */ (event).detail));
    this.connection.addEventListener("change", () => this.#connectionChanged());
    window.setInterval(() => this.#renewGrid(), 20_000);
  }

  // ---- Keys and buttons

  /** @param {KeyboardEvent} event */
  #press(event) {
    const button = event.target instanceof Element && event.target.closest("button, summary, a");
    if (button && event.repeat && (event.key === "Enter" || event.key === " ")) event.preventDefault(); // held down: once
    if (event.defaultPrevented || isDialogOpen() || isTyping(event.target)) return;
    if (event.key === "Escape") return this.act("escape");
    if (this.gridShown && this.grid.press(event)) return event.preventDefault();
    if (button && (event.key === "Enter" || event.key === " ")) return; // the button does what it says
    if (this.#pan(event)) return event.preventDefault();
    const action = this.keys.actionOf(event);
    if (!action) return;
    event.preventDefault();
    this.screen.pressed(event.timeStamp);
    this.act(action);
  }

  /** While zoomed in, the arrows move the picture. @param {KeyboardEvent} event */
  #pan(event) {
    const directions = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const direction = directions[/** @type {keyof typeof directions} */ (event.key)];
    if (!direction || this.gridShown || this.screen.zoom.fits) return false;
    this.screen.zoom.pan(direction[0] ?? 0, direction[1] ?? 0);
    return true;
  }

  /** After a click nothing keeps the focus, or Space would press the same button again. @param {MouseEvent} event */
  #unfocus(event) {
    const button = event.target instanceof Element && event.target.closest("button");
    if (!button || event.detail === 0 || button.closest("dialog, .grid")) return;
    const focused = document.activeElement; // the button, or the one that was drawn in its place
    if (focused instanceof HTMLButtonElement && !focused.closest("dialog, .grid")) focused.blur();
  }

  /**
   * Do what a key or a button asks for.
   *
   * @param {string} action
   */
  act(action) {
    if (PAGE_ACTIONS.has(action)) return this.#actOnPage(action);
    if (this.gridShown) return this.#actOnGrid(action);
    const item = this.queue.shown?.item;
    if (!item || LOOKS.has(action)) return this.#look(action);
    if (this.screen.entry !== this.queue.shown) return; // nobody has seen that one yet
    if (!this.screen.mayDecide) return this.screen.painted ? undefined : this.say("The picture is not there yet.");
    if (action.startsWith("copy:")) return this.#chooseCopy(item, action.slice(5));
    if (item.copies.length > 1) return this.#actOnCopies(item, action);
    this.#wordsOf(action, item, (words) => (item.votes ? void this.#adjudicate(item, words) : this.#decide(item, words)));
  }

  /** @param {string} action */
  #actOnPage(action) {
    if (action === "undo") return void this.undo();
    if (action === "redo") return this.redo();
    if (action === "help") return openHelp(this.keys, () => this.#redrawAll());
    if (action === "queues")
      return askFilter(
        this.session,
        this.queue.filter,
        (name) => this.told(name),
        (filter) => this.switchTo(filter),
        this.#rankButton(),
      );
    if (action === "rank") return void this.news.rank();
    if (action === "grid") return this.#toggleGrid();
    if (action === "guide") return this.#guide();
    if (action === "team") return void this.#openTeam();
    if (action === "person") return openPerson(this.connection, this.session);
    if (this.gridShown) return this.#toggleGrid();
    if (!this.screen.zoom.fits) this.screen.zoom.to(null);
  }

  /** In the window of queues. */
  #rankButton() {
    if (this.session.role === "reviewer") return false;
    const cap = this.keys.cap("rank");
    const rank = (/** @type {Event} */ event) => {
      /** @type {HTMLElement} */ (event.target).closest("dialog")?.close();
      this.act("rank");
    };
    return h("button", { type: "button", onclick: rank }, cap && keycap(cap), "Rank again with what was decided");
  }

  /** @param {string} action */
  #look(action) {
    if (action === "back" && !this.queue.look(-1)) this.say("This is the first picture.");
    if (action === "ahead" && !this.queue.look(1)) this.say("This is the last picture here.");
    if (action === "zoom") this.screen.zoomOn();
    if (action === "invert") this.screen.invert();
    if (action === "reload") this.#connectionChanged();
  }

  /**
   * The answer that an action gives about an item; asked for in a window where it takes more than a key.
   *
   * @param {string} action
   * @param {Item} item
   * @param {(words: Words) => void} give
   */
  #wordsOf(action, item, give) {
    if (action === "note") return askNote(this.notes.get(item.id) ?? "", (note) => this.#keepNote(item, note));
    const why = answerOf({
      action,
      item,
      classes: this.session.classes,
      numbered: (number) => this.screen.numbered(number),
      give,
    });
    if (why) this.say(why);
  }

  // ---- Deciding

  /** @param {Item} item @param {Words} words */
  #decide(item, words) {
    const [id = ""] = newIds(1);
    this.#commit(item, [this.#decision(id, item.id, words, "single", this.screen.timing)]);
  }

  /** Where votes differ, a decision takes a reason. @param {Item} item @param {Words} words */
  async #adjudicate(item, words) {
    const known = await import("./adjudication.js").catch(() => null);
    if (!known) return this.say("The server is away, and what asks for the reason is not here yet.");
    const before = [words.note, this.notes.get(item.id)].filter(Boolean).join(": ");
    known.askGrounds(item, words, before, (note, unclear) => {
      this.notes.delete(item.id);
      this.#decide(item, { ...words, note, ...(unclear.length ? { unclear } : {}) });
    });
  }

  /** What only a lead needs is loaded when it is asked for. */
  async #openTeam() {
    if (this.session.role !== "lead") return this.say("That page is for who leads the review.");
    const known = await import("./team.js").catch(() => null);
    if (!known) return this.say("The server is away; try again when it is back.");
    if (!isDialogOpen()) known.openTeam(this);
  }

  /**
   * @param {string} id
   * @param {string} item
   * @param {Words} words
   * @param {"single"|"grid"} mode
   * @param {{shown_at: string, client_at: string, seconds: number}} timing
   * @returns {Decision}
   */
  #decision(id, item, words, mode, timing) {
    const note = [words.note, this.notes.get(item)].filter(Boolean).join(": ");
    const made = this.#isMade(words) ? { new_class: true } : {};
    return { id, item, ...words, ...(note ? { note } : {}), ...made, mode, ...timing };
  }

  /** Whether an answer names a class that the version does not have; it is in the list from now on. @param {Words} words */
  #isMade({ label, labels }) {
    const made = [label, ...(labels ?? [])].filter((one) => one && !this.listed.has(one));
    for (const one of made) if (one && !this.session.classes.includes(one)) this.session.classes.push(one);
    return made.length > 0;
  }

  /** Keep, send, remember and go on. @param {Item} item @param {Decision[]} decisions */
  #commit(item, decisions) {
    this.#remember(item);
    for (const decision of decisions) this.notes.delete(decision.item);
    this.#storeNotes();
    void this.sender.add(decisions);
    this.past.record({ decisions, path: item.hidden ? "" : item.path });
    this.queue.decided(decisions);
  }

  /** @param {Item} item @param {string} action */
  #actOnCopies(item, action) {
    const all = (/** @type {Words} */ words) => this.#decideCopies(item, () => words);
    if (action === "keep") return all({ answer: "keep" });
    if (action === "unsure") return all({ answer: "unsure" });
    if (action === "flag")
      return this.#wordsOf(action, item, (words) => this.#decide(item, words)); // all of them, as one
    if (action === "drop")
      return askReason("Drop all of them, because they are …", REASONS, (note) => all({ answer: "drop", note }));
    if (action === "note") return askNote(this.notes.get(item.id) ?? "", (note) => this.#keepNote(item, note));
    const copy = item.copies[Number(action.replace("class", "")) - 1];
    if (copy) this.#chooseCopy(item, copy.id);
  }

  /** Keep the best copy, drop the others. @param {Item} item @param {string} best */
  #chooseCopy(item, best) {
    this.#decideCopies(item, (id) => (id === best ? { answer: "keep" } : { answer: "drop", note: "duplicate" }));
  }

  /** @param {Item} item @param {(id: string) => Words} wordsFor */
  #decideCopies(item, wordsFor) {
    const ids = newIds(item.copies.length);
    const timing = this.screen.timing;
    this.#commit(
      item,
      item.copies.map((copy, index) => this.#decision(ids[index] ?? "", copy.id, wordsFor(copy.id), "single", timing)),
    );
  }

  /** @param {Item} item @param {string} note */
  #keepNote(item, note) {
    if (note) this.notes.set(item.id, note);
    else this.notes.delete(item.id);
    this.#storeNotes();
    this.screen.refresh();
    this.say(note ? "Note kept; it goes with your answer." : "No note.");
  }

  #storeNotes() {
    try {
      sessionStorage.setItem("curate-review-notes", JSON.stringify([...this.notes]));
    } catch {
      return; // a note that waits is lost with the page then; answers are not
    }
  }

  // ---- Undo and redo

  /** Take back the newest step, or that one, and show its picture again. @param {import("./past.js").Step} [which] */
  async undo(which) {
    const step = await this.past.takeBack(which);
    if (!step) return this.say("There is nothing to take back.");
    const now = new Date().toISOString();
    const ids = newIds(step.decisions.length);
    const backs = step.decisions.map((decision, index) => {
      const { id, item, mode } = decision;
      return {
        id: ids[index] ?? "",
        item,
        answer: /** @type {const} */ ("undo"),
        undoes: id,
        mode,
        shown_at: now,
        client_at: now,
        seconds: 0,
      };
    });
    void this.sender.add(backs);
    const [first] = step.decisions;
    this.say(
      step.decisions.length > 1
        ? `Taken back: ${counted(step.decisions.length, "answer")}.`
        : `Taken back: ${first ? verdict(first) : ""}.`,
    );
    if (this.gridShown) return void (this.grid.pair ? this.#reopenGrid(this.grid.pair) : this.grid.choosePair());
    await this.#showAgain(step);
  }

  /** @param {import("./past.js").Step} step */
  async #showAgain(step) {
    const [first] = step.decisions;
    if (!first?.item || first.mode === "grid") return void this.queue.fill();
    const ids = new Set(step.decisions.map((decision) => decision.item));
    const entry = this.queue.entries.find((one) => ids.has(one.item.id));
    const known = entry?.item ?? [...ids].map((id) => this.known.get(id)).find(Boolean);
    const item = known ?? (await this.connection.get(`/api/item/${encodeURIComponent(first.item)}`).catch(() => null));
    if (item) this.queue.returned(item);
  }

  redo() {
    const now = new Date().toISOString();
    const step = this.past.sayAgain((decisions) => {
      const ids = newIds(decisions.length);
      return decisions.map((decision, index) => ({
        ...decision,
        id: ids[index] ?? "",
        shown_at: decision.shown_at || now,
        client_at: now,
      }));
    });
    if (!step) return this.say("There is nothing to do again.");
    void this.sender.add(step.decisions);
    this.say(
      `Done again: ${step.decisions.length > 1 ? counted(step.decisions.length, "answer") : step.decisions.map(verdict).join()}.`,
    );
    if (this.gridShown) return void (this.grid.pair ? this.#reopenGrid(this.grid.pair) : this.grid.choosePair());
    const ids = new Set(step.decisions.map((decision) => decision.item));
    const entry = this.queue.entries.find((one) => ids.has(one.item.id));
    if (entry) this.queue.saidAgain(entry.item.id, step.decisions);
  }

  // ---- The grid

  #toggleGrid() {
    this.gridShown = !this.gridShown;
    const item = this.queue.shown?.item;
    if (!this.gridShown) void this.queue.fill();
    else if (item?.given != null && item.suggested != null && item.queue === "errors")
      void this.grid.open({ given: item.given, suggested: item.suggested });
    else void this.grid.choosePair();
    this.draw();
  }

  /** @param {string} action */
  #actOnGrid(action) {
    const tile = this.grid.focused;
    if (!tile) return;
    const item = tile.item;
    if (action === "both" || action === "search" || !["zoom", "invert", "back", "ahead", "note"].includes(action)) {
      const fixed = /^class([1-9])$/.exec(action)?.[1];
      const label = fixed && this.screen.fixed ? this.session.classes[Number(fixed) - 1] : undefined;
      if (fixed)
        return label === undefined
          ? undefined
          : this.#mark(tile, label === item.given ? { answer: "keep" } : { answer: "relabel", label });
      this.#wordsOf(action, item, (words) => this.#mark(tile, words));
    }
  }

  /** @param {import("./grid.js").Tile} tile @param {Words} words */
  #mark(tile, words) {
    this.grid.mark(tile, words);
    tile.button.focus();
  }

  /** @param {{item: Item, mark: Words}[]} marks @param {number} seconds @param {string} shownAt */
  #saveGrid(marks, seconds, shownAt) {
    const ids = newIds(marks.length);
    const timing = {
      shown_at: shownAt,
      client_at: new Date().toISOString(),
      seconds: Math.round(seconds * 1000) / 1000,
    };
    const decisions = marks.map(({ item, mark }, index) =>
      this.#decision(ids[index] ?? "", item.id, mark, "grid", timing),
    );
    const written = this.sender.add(decisions);
    this.past.record({ decisions, path: "" });
    for (const decision of decisions) this.queue.saidAgain(decision.item, [decision]);
    const pair = this.grid.pair;
    if (pair) void written.then(() => this.#reopenGrid(pair));
  }

  /** Show a pair again when the server knows what was said. @param {import("./grid.js").Pair} pair */
  async #reopenGrid(pair) {
    await this.sender.send();
    for (
      let wait = 0;
      wait < 20 && this.sender.waiting && !this.sender.trouble && this.connection.state === "ok";
      wait++
    )
      await new Promise((resolve) => setTimeout(resolve, 50));
    if (this.gridShown) await this.grid.open(pair);
  }

  #renewGrid() {
    const items = this.gridShown && !document.hidden ? this.grid.held : [];
    if (items.length) this.connection.post("/api/leases", { tab: this.tab, items }).catch(() => undefined);
  }

  // ---- Queues

  /** @param {Filter} filter @returns {Queue} */
  #openQueue(filter) {
    const unsaved = () =>
      new Set(
        [...this.sender.unsent.values()]
          .filter((entry) => !entry.refused && entry.decision.answer !== "undo")
          .map((entry) => entry.decision.item),
      );
    const queue = new Queue(this.connection, this.pictures, this.tab, filter, unsaved);
    queue.addEventListener("change", () => this.draw());
    queue.addEventListener("lost", () =>
      this.notices.tell(
        "lease",
        "Your hold on this picture ran out, and somebody else may have it now. Your answer counts all the same.",
        "busy",
      ),
    );
    return queue;
  }

  /** @param {Filter} filter */
  switchTo(filter) {
    this.queue.close();
    this.queue = this.#openQueue(filter);
    this.screen.clear();
    this.gridShown = false;
    this.draw();
    writeToAddress(filter);
    void this.queue.fill();
  }

  /** What is left of a queue, as far as we know. @param {string} name */
  leftOf(name) {
    return this.progress?.by_queue?.[name] ?? this.session.queues.find((queue) => queue.name === name)?.left ?? 0;
  }

  /** Whether there is anything to do in a queue. @param {string} name */
  offers(name) {
    return this.leftOf(name) > 0 || (name === "spot" && !this.progress?.estimate && this.session.classes.length > 0);
  }

  /** How much there is to do. @param {string} name */
  told(name) {
    const left = this.leftOf(name);
    return name === "spot" && !left && !this.progress?.estimate ? " of a random sample" : ` ${left} left`;
  }

  #guide() {
    const item = this.queue.shown?.item;
    const labels = [item?.given, item?.suggested].filter((label) => label != null);
    openGuideline(this.connection, this.session, /** @type {string[]} */ (labels));
  }

  // ---- What the server says

  /** @param {{decisions: Decision[], receipt: import("./types.js").Receipt}} saved */
  #saved({ decisions, receipt }) {
    this.progress = receipt.progress ?? this.progress;
    this.news.take(this.progress?.news);
    const said = decisions.length > 1 ? counted(decisions.length, "answer") : decisions.map(verdict).join();
    if (decisions.length) byId("saved").textContent = `Saved: ${said}.`;
    if (receipt.extra?.length)
      this.notices.tell(
        "extra",
        `${counted(receipt.extra.length, "answer")} came when enough others had answered. They are kept, as extra votes.`,
        "busy",
      );
    if (!this.queue.held.length) void this.queue.fill();
    this.draw();
  }

  #connectionChanged() {
    if (this.connection.state === "ok") {
      this.pictures.forgetFailed();
      byId("past").replaceChildren(); // with the thumbnails that did not come
      this.drawPast();
      void this.queue.fill();
      if (this.gridShown && !this.grid.tiles.length && this.grid.pair) void this.grid.open(this.grid.pair);
    }
    this.screen.refresh();
    this.draw();
  }

  // ---- Drawing

  /** Show everything as it is now, once for all that one key changes: the picture at once, the rest a frame later. */
  draw() {
    if (this.#drawsSoon) return;
    this.#drawsSoon = true;
    queueMicrotask(() => {
      this.#drawsSoon = false;
      this.#drawNow();
    });
  }

  #drawNow() {
    const entry = this.queue.shown;
    const paging = !this.gridShown && !entry;
    this.screen.element.hidden = this.gridShown || !entry;
    this.grid.element.hidden = !this.gridShown;
    this.page.hidden = !paging;
    if (entry && !this.gridShown) this.#drawEntry(entry);
    if (paging) drawPage(this);
    this.header.tell(badge(this));
    if (this.#drawsRest) return;
    this.#drawsRest = true;
    afterPaint(() => this.#drawRest());
  }

  #drawRest() {
    this.#drawsRest = false;
    this.#drawHeader();
    drawNotices(this);
    if (this.#pastChanged) this.drawPast();
    this.#pastChanged = false;
    const { entries, cursor } = this.queue;
    void this.screen.prepare(entries.slice(cursor + 1).find((entry) => !entry.said)?.item);
  }

  /** @param {import("./queue.js").Entry} entry */
  #drawEntry(entry) {
    const { item } = entry;
    this.screen.show(entry);
    const given = item.hidden ? "Blind spot check." : item.votes ? "Votes differ." : item.given === null ? "No label." : `Given ${item.given}.`;
    const text = `${given}${item.suggested === null ? "" : ` Suggested ${item.suggested}.`}`;
    if (byId("now").dataset.item === item.id) return;
    byId("now").dataset.item = item.id;
    byId("now").textContent = text;
    this.notices.set("lease", "");
  }

  drawPast() {
    showPast(
      byId("past"),
      this.past,
      this.keys,
      (action) => this.act(action),
      (step) => this.undo(step),
    );
  }

  #redrawAll() {
    this.screen.refresh();
    this.drawPast();
    this.draw();
  }

  #drawHeader() {
    const { name } = this.queue.filter;
    const info = this.session.queues.find((queue) => queue.name === name);
    const left = Math.max(0, (this.queue.filtered ? this.queue.left : this.leftOf(name)) - this.#unsentActions());
    const drawn = name === "spot" ? (this.progress?.estimate?.planned ?? 0) : 0; // meanwhile, it may be
    const total = Math.max(this.totals.get(name) ?? info?.total ?? 0, drawn, left);
    this.totals.set(name, total);
    this.header.show({
      queue: info?.title ?? name,
      filtered: this.queue.filtered,
      done: total - left,
      total,
      left,
      progress: this.progress,
      grid: this.gridShown,
    });
  }

  /** Pictures, or groups of copies, that are decided and not sent. */
  #unsentActions() {
    const answers = [...this.sender.unsent.values()].filter((one) => !one.refused && one.decision.answer !== "undo");
    return new Set(answers.map(({ id, decision }) => (decision.mode === "grid" ? id : actionOfId(id)))).size;
  }

  /** @param {string} text */
  say(text) {
    byId("saved").textContent = text;
    this.screen.before.textContent = text;
  }

  /** @param {Item} item */
  #remember(item) {
    this.known.set(item.id, item);
    if (this.known.size > REMEMBERED) this.known.delete(/** @type {string} */ (this.known.keys().next().value));
  }
}

const PAGE_ACTIONS = new Set(["undo", "redo", "help", "queues", "rank", "grid", "guide", "team", "person", "escape"]);
const LOOKS = new Set(["back", "ahead", "zoom", "invert", "reload"]);
