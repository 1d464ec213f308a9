/** One picture and all that helps to decide about it. What is shown comes in by `show`; what is pressed goes out by `act`. */

import { afterPaint, fill, h, keycap, pictureAddress, thumbnail, word } from "./dom.js";
import { chance, verdict } from "./words.js";
import { Zoom } from "./zoom.js";

/** @typedef {import("./types.js").Item} Item */
/** @typedef {import("./queue.js").Entry} Entry */

const GUARD_MS = 150; // a key this soon after the picture changed was meant for the one before it
const MOST_NUMBERED = 9;

const OTHER_ANSWERS = /** @type {const} */ ([
  ["search", "Other"],
  ["both", "Both"],
  ["drop", "Neither, bad image"],
  ["unsure", "Unsure"],
  ["flag", "Flag"],
  ["note", "Note"],
  ["undo", "Undo"],
]);

export class Screen {
  /** @type {Entry|null} */
  #entry = null;
  tools = h("p", { class: "tools" });
  path = h("p", { class: "path" });
  main = h("div", { class: "answers" });
  others = h("div", { class: "others" });
  choices = h("div", { class: "numbered" });
  reasons = h("div", { class: "reasons" });
  before = h("p", { class: "before", role: "status" });
  votes = h("div", { class: "reasons" });
  /** @type {(label: string) => Promise<import("./types.js").Guideline>} */
  readGuideline = () => Promise.reject(new Error());
  alike = h("section", { class: "alike", "aria-label": "Pictures that look alike" });
  /** @type {unknown} what was said when it was drawn */
  #said = undefined;
  #painted = false;
  #shownAt = 0;
  #shownDate = "";
  #hiddenMs = 0;
  #hiddenSince = 0;
  #pressedAt = 0;
  #inverted = false;

  /**
   * @param {import("./pictures.js").Pictures} pictures
   * @param {import("./keys.js").Keys} keys
   * @param {string[]} classes
   * @param {(action: string) => void} act
   * @param {(id: string) => string} noteOf
   */
  constructor(pictures, keys, classes, act, noteOf) {
    this.pictures = pictures;
    this.keys = keys;
    this.classes = classes;
    this.fixed = classes.length <= MOST_NUMBERED; // for good: classes that are made meanwhile move no key
    this.act = act;
    this.noteOf = noteOf;
    this.frame = h("div", { class: "frame" });
    this.zoom = new Zoom(this.frame);
    this.zoom.addEventListener("change", () => this.#drawTools());
    this.element = h("div", { class: "single", hidden: true }, this.#stage(), this.#panel(), this.alike);
    document.addEventListener("visibilitychange", () => this.#pause());
  }

  #stage() {
    return h(
      "section",
      { class: "stage", "aria-label": "Picture" },
      this.frame,
      h("div", { class: "under" }, this.path, this.tools),
    );
  }

  #panel() {
    const sticky = h("div", { class: "sticky" }, this.main, this.others);
    return h(
      "section",
      { class: "panel", "aria-label": "Your answer" },
      sticky,
      this.before,
      this.votes,
      this.reasons,
      this.choices,
    );
  }

  /** The time of the key that led here, for measuring how long the picture took. @param {number} at */
  pressed(at) {
    this.#pressedAt = at;
  }

  /** @param {Entry} entry */
  show(entry) {
    const same = entry === this.#entry;
    if (same && this.#said === entry.said) return;
    this.#entry = entry;
    this.#said = entry.said;
    if (!same) this.#showPicture(entry.item);
    this.#drawPanel(entry);
  }

  /** Draw it anew with its picture, as keys were changed or the network is back. */
  refresh() {
    const entry = this.#entry;
    if (!entry) return;
    this.#said = undefined;
    if (!this.#painted) this.#entry = null;
    this.show(entry);
    this.#drawTools();
  }

  /** Nothing is shown. */
  clear() {
    this.#entry = null;
    this.#painted = false;
    this.zoom.clear();
  }

  /** Whether an answer may be meant for this picture. */
  get mayDecide() {
    return this.#painted && performance.now() - this.#shownAt >= GUARD_MS;
  }

  /** What is on the screen, which may be a moment behind the queue. */
  get entry() {
    return this.#entry;
  }

  get painted() {
    return this.#painted;
  }

  get timing() {
    const hidden = this.#hiddenMs + (document.hidden ? performance.now() - this.#hiddenSince : 0);
    const seconds = Math.max(0, (performance.now() - this.#shownAt - hidden) / 1000);
    return {
      shown_at: this.#shownDate,
      client_at: new Date().toISOString(),
      seconds: Math.round(seconds * 1000) / 1000,
    };
  }

  /** What key 1 to 9 stands for here. @param {number} number @returns {string|undefined} */
  numbered(number) {
    return this.#entry ? this.#numberedOf(this.#entry.item)[number - 1]?.label : undefined;
  }

  /** Whether there is a label, or only a picture, to keep. @param {Item} item */
  static canKeep(item) {
    if (item.votes?.some((vote) => vote.answer === "keep")) return true;
    return !item.hidden && (item.given !== null || item.queue === "doubts" || item.copies.length > 1);
  }

  invert() {
    this.#inverted = !this.#inverted;
    this.frame.classList.toggle("inverted", this.#inverted);
    this.#drawTools();
  }

  /** @param {Item} item */
  #showPicture(item) {
    this.#painted = false;
    this.zoom.clear();
    if (item.copies.length > 1) return this.#showCopies(item);
    const loading = this.pictures.get(item.id);
    if (loading.state !== "loading") return this.#settled(item, loading);
    fill(this.frame, h("p", { class: "soft" }, "Loading the picture …"));
    loading.settled.then(() => this.#entry?.item === item && this.#settled(item, loading));
  }

  /** @param {Item} item @param {import("./pictures.js").Loading} loading */
  #settled(item, loading) {
    if (loading.state === "failed") {
      const again = h("button", { type: "button", onclick: () => this.act("reload") }, "Try again");
      const drop = h("button", { type: "button", onclick: () => this.act("drop") }, cap(this.keys, "drop"), "Drop it");
      fill(
        this.frame,
        h(
          "div",
          { class: "missing", role: "status" },
          h("p", {}, "This picture can't be shown: the file is gone, damaged, or the server is away."),
          h("p", { class: "row" }, again, drop),
        ),
      );
    } else {
      loading.image.alt = item.hidden ? "The picture to decide on" : `The picture to decide on: ${item.path}`;
      this.zoom.show(loading.image);
    }
    this.#arrived();
  }

  /** Copies of one picture, side by side; a number or a click chooses the best. @param {Item} item */
  #showCopies(item) {
    const copies = item.copies.map((copy, index) => {
      const image = h("img", { src: pictureAddress(copy.id, "screen"), alt: "", draggable: "false" });
      const size = copy.width && copy.height ? `${copy.width} × ${copy.height}` : "";
      const about = h(
        "span",
        { class: "about" },
        index < MOST_NUMBERED && keycap(String(index + 1)),
        copy.kept && h("span", { class: "mark" }, "best so far"),
        copy.label && word(copy.label),
        size && ` ${size} `,
        word(copy.path, "path"),
      );
      return h(
        "button",
        {
          type: "button",
          class: "copy",
          "aria-label": `Keep this one, drop the others: ${copy.path} ${size}`,
          onclick: () => this.act(`copy:${copy.id}`),
        },
        image,
        about,
      );
    });
    fill(this.frame, h("div", { class: "copies" }, ...copies));
    this.#arrived();
  }

  /** The picture is in the page; tell when it was painted, and how long after the key. */
  #arrived() {
    this.#painted = true;
    this.#shownAt = performance.now();
    this.#shownDate = new Date().toISOString();
    this.#hiddenMs = 0;
    this.#hiddenSince = this.#shownAt;
    const pressed = this.#pressedAt;
    this.#pressedAt = 0;
    if (!pressed) return;
    requestAnimationFrame(() => {
      const { port1, port2 } = new MessageChannel(); // its message comes after the frame was painted
      port1.onmessage = () => performance.measure("key to picture", { start: pressed, end: performance.now() });
      port2.postMessage("");
    });
  }

  #pause() {
    if (document.hidden) this.#hiddenSince = performance.now();
    else this.#hiddenMs += performance.now() - this.#hiddenSince;
  }

  /** @param {Entry} entry */
  #drawPanel(entry) {
    const { item, said } = entry;
    this.path.replaceChildren(...(item.hidden ? ["Blind spot check: which class is it?"] : [word(item.path, "path")]));
    this.before.textContent = said ? `You said: ${said.map(verdict).join(", ")}. Another answer takes its place.` : "";
    this.#drawAnswers(item);
    this.element.classList.add("coming"); // what belongs to the picture before keeps its room, and is not shown
    afterPaint(() => this.#entry === entry && this.#drawRest(item));
  }

  /** Have the next picture at hand. @param {Item|undefined} item */
  async prepare(item) {
    if (!item || item.copies.length > 1) return;
    const [entry, loading] = [this.#entry, this.pictures.get(item.id)];
    await loading.settled;
    if (this.#painted && this.#entry === entry && entry?.item !== item && loading.state === "ready")
      this.zoom.standBy(loading.image);
  }

  /** What helps to decide, a frame later than the picture. @param {Item} item */
  #drawRest(item) {
    this.#drawVotes(item);
    this.#drawReasons(item);
    this.#drawAlike(item);
    this.element.classList.remove("coming");
  }

  /** @param {Item} item */
  #drawAnswers(item) {
    const group = item.copies.length > 1;
    rewrite(this.main, [
      answer(this.keys, "keep", ...kept(item), "", Screen.canKeep(item), this.act),
      !group &&
        answer(
          this.keys,
          "suggestion",
          "Suggested",
          item.suggested,
          item.suggested === null ? "" : chance(item.probability),
          item.suggested !== null,
          this.act,
        ),
    ]);
    const names = group ? OTHER_ANSWERS.filter(([name]) => name !== "both" && name !== "search") : OTHER_ANSWERS;
    rewrite(
      this.others,
      names.map(([name, title]) => button(this.keys, name, this.#titleOf(item, name, title), this.act)),
    );
    this.#drawChoices(item);
    this.#drawTools();
  }

  /** @param {Item} item @param {string} name @param {string} title */
  #titleOf(item, name, title) {
    if (name === "note" && this.noteOf(item.id)) return "Note ✓";
    return name === "drop" && item.copies.length > 1 ? "None is good" : title;
  }

  /** @param {Item} item @returns {import("./types.js").Candidate[]} */
  #numberedOf(item) {
    if (item.copies.length > 1) return [];
    if (!this.fixed) return item.candidates.slice(0, MOST_NUMBERED);
    const chances = new Map(item.candidates.map((one) => [one.label, one.probability]));
    return this.classes.slice(0, MOST_NUMBERED).map((label) => ({ label, probability: chances.get(label) ?? null }));
  }

  /** @param {Item} item */
  #drawChoices(item) {
    const numbered = this.#numberedOf(item);
    const { fixed } = this;
    const rows = numbered.map((one, index) => {
      const bar = h("span", { class: "bar" });
      bar.style.width = `${(one.probability || 0) * 100}%`;
      const name = `class${index + 1}`;
      const known = one.probability !== null;
      const choice = h(
        "button",
        { type: "button", class: "choice", "data-action": name, onclick: () => this.act(name) },
        cap(this.keys, name),
        word(one.label),
        h("span", { class: "chance" }, known && chance(one.probability)),
        known && bar,
      );
      return h("li", {}, choice);
    });
    const title = fixed ? "Classes" : "Candidates of this picture";
    rewrite(
      this.choices,
      rows.length ? [h("h2", {}, title), h("ol", { class: fixed ? "choices fixed" : "choices" }, ...rows)] : [],
    );
  }

  /** Where they differ; what shows them is loaded with the first. @param {Item} item */
  #drawVotes(item) {
    if (!item.votes) return fill(this.votes);
    import("./adjudication.js").then(
      ({ showVotes }) => this.#entry?.item === item && showVotes(this.votes, item, this.readGuideline),
      () => fill(this.votes, h("p", {}, "The votes can't be had just now.")),
    );
  }

  /** @param {Item} item */
  #drawReasons(item) {
    const flags = item.flags.map((flag) =>
      h("li", {}, h("span", { class: "mark" }, flag.name.replaceAll("_", " ")), " ", flag.why),
    );
    const told = new Set(item.flags.map((flag) => flag.why));
    const because = item.because.filter((sentence) => !told.has(sentence)).map((sentence) => h("li", {}, sentence));
    const others = item.history.map((said) =>
      h(
        "li",
        {},
        word(said.reviewer),
        said.answer === "flag" ? " flagged it" : ` said ${verdict(said)}`,
        said.note && said.answer !== "drop" && `: “${said.note}”`,
        said.decided_at && `, ${said.decided_at.slice(0, 10)}`,
      ),
    );
    fill(
      this.reasons,
      because.length + flags.length > 0 && h("h2", {}, "Why it is here"),
      because.length + flags.length > 0 && h("ul", {}, ...because, ...flags),
      others.length > 0 && h("h2", {}, "Said before"),
      others.length > 0 && h("ul", {}, ...others),
    );
  }

  /** The two rows change places from picture to picture, so that neither has the better one. @param {Item} item */
  #drawAlike(item) {
    const rows = [
      row("Look like the given", item.given, item.alike.given),
      row("Look like the suggested", item.suggested, item.alike.suggested),
      ...[...new Set((item.alike_voted ?? []).map((one) => one.label))].map((label) =>
        row("Look like", label, item.alike_voted?.filter((one) => one.label === label) ?? []),
      ),
    ];
    if (parseInt(item.id.slice(-1), 16) % 2) rows.reverse();
    fill(this.alike, ...rows);
  }

  #drawTools() {
    const group = (this.#entry?.item.copies.length ?? 0) > 1;
    this.frame.classList.toggle("copying", group);
    const zoom = group ? (this.frame.classList.contains("actual") ? "1:1" : "fit") : this.zoom.name;
    rewrite(this.tools, [
      button(this.keys, "back", "Back", this.act),
      button(this.keys, "ahead", "Ahead", this.act),
      button(this.keys, "zoom", `Zoom: ${zoom}`, this.act),
      button(this.keys, "invert", this.#inverted ? "Inverted" : "Invert", this.act, this.#inverted),
    ]);
  }

  /** Fit, 1:1, 2:1; copies of a picture all at once. */
  zoomOn() {
    if ((this.#entry?.item.copies.length ?? 0) > 1) this.frame.classList.toggle("actual");
    else this.zoom.next();
    this.#drawTools();
  }
}

/**
 * @param {string} title
 * @param {string|null} label
 * @param {import("./types.js").Alike[]} pictures
 * @returns {HTMLElement|false}
 */
function row(title, label, pictures) {
  if (label === null || !pictures.length) return false;
  const tiles = pictures.map((one) => h("li", {}, thumbnail(one.id, `A picture of ${one.label}`)));
  return h("div", { class: "like" }, h("h2", {}, title, " ", word(label)), h("ul", {}, ...tiles));
}

/** What "keep" keeps: its title and the label. @param {Item} item @returns {[string, string|null]} */
function kept(item) {
  if (item.copies.length > 1) return ["Keep all", "they are no copies"];
  if (item.hidden) return ["Given", "hidden"];
  return item.queue === "doubts" && item.given === null ? ["Keep", "the picture"] : ["Given", item.given];
}

/** @param {import("./keys.js").Keys} keys @param {string} name */
function cap(keys, name) {
  const text = keys.cap(name);
  return text && keycap(text);
}

/**
 * @param {import("./keys.js").Keys} keys
 * @param {string} name
 * @param {string} title
 * @param {(action: string) => void} act
 * @param {boolean} [pressed] for what is on or off
 */
function button(keys, name, title, act, pressed) {
  return h(
    "button",
    {
      type: "button",
      "data-action": name,
      "aria-pressed": pressed === undefined ? null : String(pressed),
      onclick: () => act(name),
    },
    cap(keys, name),
    h("span", {}, title),
  );
}

/**
 * @param {import("./keys.js").Keys} keys
 * @param {string} name
 * @param {string} title
 * @param {string|null} label
 * @param {string} chanceOfIt
 * @param {boolean} possible
 * @param {(action: string) => void} act
 */
function answer(keys, name, title, label, chanceOfIt, possible, act) {
  const value = label === null ? h("span", { class: "soft" }, "none") : word(label);
  return h(
    "button",
    { type: "button", class: "answer", "data-action": name, disabled: !possible, onclick: () => act(name) },
    cap(keys, name),
    h("span", { class: "what" }, title),
    value,
    h("span", { class: "chance" }, chanceOfIt),
  );
}

/**
 * Replace what an element holds, but leave the focus on the button of the same action.
 *
 * @param {Element} element
 * @param {import("./dom.js").Child[]} children
 */
function rewrite(element, children) {
  const focused = document.activeElement;
  const action = focused && element.contains(focused) ? focused.getAttribute("data-action") : null;
  fill(element, ...children);
  if (action)
    /** @type {HTMLElement|null} */ (element.querySelector(`[data-action="${action}"]`))?.focus({
      preventScroll: true,
    });
}
