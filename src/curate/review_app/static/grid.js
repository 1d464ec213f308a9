/**
 * Many pictures of one (given -> suggested) pair at once. Nothing is chosen at first; what a person does not mark and
 * has seen is right as given, once they confirm the number. Every picture is recorded by itself.
 */

import { fill, h, keycap, thumbnail, word } from "./dom.js";
import { askConfirm } from "./dialogs.js";
import { counted, verdict } from "./words.js";

/** @typedef {import("./types.js").Item} Item */
/** @typedef {import("./types.js").Decision} Decision */
/** @typedef {Pick<Decision, "answer"|"label"|"labels"|"note">} Mark */
/** @typedef {{given: string, suggested: string}} Pair */
/** @typedef {{item: Item, mark: Mark|null, seen: boolean, broken: boolean, button: HTMLButtonElement, said: HTMLElement}} Tile */

const AT_ONCE = 48;
const LEAST_SHOWN = 0.6; // of a tile, for it to count as seen

export class Grid {
  /** @type {Tile[]} */
  tiles = [];
  /** @type {Pair|null} */
  pair = null;
  #shownAt = new Date();
  #observer = new IntersectionObserver((changes) => this.#seen(changes), { threshold: LEAST_SHOWN });
  #taps = "suggestion";

  /**
   * @param {import("./api.js").Connection} connection
   * @param {string} tab
   * @param {(marks: {item: Item, mark: Mark}[], seconds: number, shownAt: string) => void} save
   * @param {(action: string) => void} act
   */
  constructor(connection, tab, save, act) {
    this.connection = connection;
    this.tab = tab;
    this.save = save;
    this.act = act;
    this.element = h("div", { class: "grid", hidden: true });
  }

  /** The pairs of classes, to choose one. */
  async choosePair() {
    this.pair = null;
    this.tiles = [];
    fill(this.element, h("p", { class: "page" }, "Loading …"));
    try {
      const { pairs } = await this.connection.get("/api/pairs", { queue: "errors" });
      this.#drawPairs(pairs);
    } catch (error) {
      this.#drawTrouble(/** @type {Error} */ (error), () => this.choosePair());
    }
  }

  /** @param {(Pair & {left: number})[]} pairs */
  #drawPairs(pairs) {
    const rows = pairs.map((pair) =>
      h(
        "li",
        {},
        h(
          "button",
          { type: "button", class: "choice", onclick: () => this.open(pair) },
          word(pair.given),
          " → ",
          word(pair.suggested),
          h("span", { class: "chance" }, pair.left),
        ),
      ),
    );
    const back = h("button", { type: "button", onclick: () => this.act("grid") }, keycap("Esc"), "One by one");
    fill(
      this.element,
      h("h2", {}, pairs.length ? "Grid: which pair, given → suggested?" : "No pair of classes is left."),
      h("p", {}, back),
      h("ol", { class: "pairs" }, ...rows),
    );
    this.element.querySelector("button.choice")?.scrollIntoView({ block: "nearest" });
    /** @type {HTMLElement|null} */ (
      this.element.querySelector("ol button") ?? this.element.querySelector("button")
    )?.focus();
  }

  /** @param {Pair} pair */
  async open(pair) {
    this.pair = { given: pair.given, suggested: pair.suggested };
    fill(this.element, h("p", { class: "page" }, "Loading …"));
    try {
      const batch = await this.connection.get("/api/grid", { ...this.pair, tab: this.tab, count: AT_ONCE });
      if (!batch.items.length) return await this.choosePair();
      this.#draw(batch.items, batch.left);
    } catch (error) {
      this.#drawTrouble(/** @type {Error} */ (error), () => this.open(pair));
    }
  }

  /** Keep the leases of what is shown. */
  get held() {
    return this.element.hidden ? [] : this.tiles.map((tile) => tile.item.id);
  }

  /** @param {Item[]} items @param {number} left */
  #draw(items, left) {
    this.#observer.disconnect();
    this.tiles = items.map((item, index) => this.#tile(item, index));
    this.#shownAt = new Date();
    const { given, suggested } = /** @type {Pair} */ (this.pair);
    const title = h(
      "h2",
      {},
      "Given ",
      word(given),
      ", suggested ",
      word(suggested),
      h("span", { class: "soft" }, ` ${items.length} of ${left}`),
    );
    const list = h(
      "div",
      { class: "tiles", role: "group", "aria-label": "Pictures; mark those that are not right as given" },
      ...this.tiles.map((tile) => tile.button),
    );
    this.done = h("button", { type: "button", class: "main", onclick: () => this.confirm() });
    const others = h("button", { type: "button", onclick: () => this.choosePair() }, "Another pair");
    const back = h("button", { type: "button", onclick: () => this.act("grid") }, keycap("Esc"), "One by one");
    fill(
      this.element,
      h("div", { class: "top" }, title, h("p", { class: "row" }, others, back)),
      this.#tapTools(),
      list,
      h("p", { class: "row bottom" }, this.done),
    );
    this.tiles.forEach((tile) => this.#observer.observe(tile.button));
    this.#drawDone();
    this.tiles[0]?.button.focus({ preventScroll: true });
  }

  /** What a tap does, for those without keys. */
  #tapTools() {
    const { suggested } = /** @type {Pair} */ (this.pair);
    /** @type {[string, import("./dom.js").Child][]} */
    const tools = [
      ["suggestion", word(suggested)],
      ["drop", "drop"],
      ["unsure", "unsure"],
      ["search", "another class"],
    ];
    const options = tools.map(([name, title]) => {
      const input = h("input", {
        type: "radio",
        name: "tap",
        value: name,
        id: `tap-${name}`,
        onchange: () => (this.#taps = name),
      });
      input.checked = name === this.#taps;
      return h("span", { class: "row" }, input, h("label", { for: `tap-${name}` }, title));
    });
    return h("fieldset", { class: "taps" }, h("legend", {}, "A tap, click or Space marks as"), ...options);
  }

  /** @param {Item} item @param {number} index @returns {Tile} */
  #tile(item, index) {
    const image = thumbnail(item.id, "");
    const said = h("span", { class: "said" });
    const button = h(
      "button",
      { type: "button", class: "tile", tabindex: index ? "-1" : "0", onclick: () => this.#tap(tile) },
      image,
      said,
    );
    /** @type {Tile} */
    const tile = { item, mark: null, seen: false, broken: false, button, said };
    image.addEventListener("error", () => {
      tile.broken = true;
      this.#drawTile(tile);
    });
    button.addEventListener("focus", () => this.tiles.forEach((one) => (one.button.tabIndex = one === tile ? 0 : -1)));
    this.#drawTile(tile, index);
    return tile;
  }

  /** @param {Tile} tile */
  #tap(tile) {
    tile.button.focus();
    this.act(this.#taps);
  }

  /** @param {Tile} tile @param {number} [index] */
  #drawTile(tile, index = this.tiles.indexOf(tile)) {
    const text = tile.mark ? verdict(tile.mark) : tile.broken ? "can't be shown" : "";
    fill(tile.said, text && word(text));
    tile.button.classList.toggle("marked", tile.mark !== null);
    tile.button.setAttribute("aria-label", `Picture ${index + 1}, ${text || "not marked"}`);
    tile.button.setAttribute("aria-pressed", String(tile.mark !== null));
  }

  #drawDone() {
    const { right, marked } = this.#counts();
    if (this.done) fill(this.done, keycap("Enter"), `${right} right as given, ${marked} marked: save`);
  }

  /** @param {IntersectionObserverEntry[]} changes */
  #seen(changes) {
    for (const change of changes) {
      const tile = this.tiles.find((one) => one.button === change.target);
      if (tile && change.isIntersecting) tile.seen = true;
    }
    this.#drawDone();
  }

  #counts() {
    const marked = this.tiles.filter((tile) => tile.mark);
    const right = this.tiles.filter((tile) => !tile.mark && tile.seen && !tile.broken);
    return { marked: marked.length, right: right.length, rest: this.tiles.length - marked.length - right.length };
  }

  /** The tile that has the focus. */
  get focused() {
    return this.tiles.find((tile) => tile.button === document.activeElement) ?? null;
  }

  /**
   * Mark a tile, or take the same mark off again.
   *
   * @param {Tile} tile
   * @param {Mark|null} mark
   */
  mark(tile, mark) {
    const same = tile.mark && mark && verdict(tile.mark) === verdict(mark);
    tile.mark = same || mark?.answer === "keep" ? null : mark;
    this.#drawTile(tile);
    this.#drawDone();
  }

  /**
   * Arrows and Enter; true when the key was one of ours.
   *
   * @param {KeyboardEvent} event
   */
  press(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || !this.tiles.length) return false;
    if (event.key === "Enter" && this.focused) {
      if (!event.repeat) this.confirm();
      return true;
    }
    const columns = this.#columns();
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
    if (!step) return false;
    const now = Math.max(
      0,
      this.tiles.findIndex((tile) => tile.button.tabIndex === 0),
    );
    const to = this.focused ? now + step : now;
    this.tiles[to]?.button.focus();
    return true;
  }

  #columns() {
    const top = this.tiles[0]?.button.offsetTop;
    const columns = this.tiles.findIndex((tile) => tile.button.offsetTop !== top);
    return columns === -1 ? this.tiles.length : columns;
  }

  /** Ask once, with the numbers, then save. */
  confirm() {
    const { right, marked, rest } = this.#counts();
    if (!right && !marked) return;
    const { given } = /** @type {Pair} */ (this.pair);
    const left = rest ? ` ${counted(rest, "picture")} you have not seen stay${rest === 1 ? "s" : ""}.` : "";
    const question = [
      h("strong", {}, String(right)),
      " right as given, ",
      word(given),
      "; ",
      h("strong", {}, String(marked)),
      ` marked otherwise.${left}`,
    ];
    askConfirm(question, `Save ${right + marked}`, () => this.#save());
  }

  #save() {
    const answered = this.tiles.filter((tile) => tile.mark || (tile.seen && !tile.broken));
    const seconds = (Date.now() - this.#shownAt.getTime()) / 1000;
    const marks = answered.map((tile) => ({
      item: tile.item,
      mark: tile.mark ?? { answer: /** @type {const} */ ("keep") },
    }));
    this.tiles = [];
    this.save(marks, seconds / answered.length, this.#shownAt.toISOString());
  }

  /** @param {Error} error @param {() => void} again */
  #drawTrouble(error, again) {
    fill(
      this.element,
      h("p", { class: "page" }, error.message),
      h(
        "p",
        { class: "row" },
        h("button", { type: "button", onclick: again }, "Try again"),
        h("button", { type: "button", onclick: () => this.act("grid") }, "One by one"),
      ),
    );
  }
}
