/** Small windows above the page: reasons, notes, classes, queues, help. While one is open the page's keys are dead. */

import { h, fill, word, keycap } from "./dom.js";
import { plain } from "./words.js";

const LONGEST_NAME = 200; // as the server has it
const LISTED = 50; // nobody reads further; typing narrows

/**
 * A window with a title, closed by Esc or its button; focus goes back to where it was.
 *
 * @param {string} title
 * @param {string} kind
 * @param {...import("./dom.js").Child} children
 */
export function openDialog(title, kind, ...children) {
  const close = h(
    "button",
    { type: "button", class: "close", "aria-label": "Close", onclick: () => dialog.close() },
    "×",
  );
  const id = `dialog-title-${document.querySelectorAll("dialog").length}`; // one may be open above another
  const heading = h("h2", { id }, title);
  const dialog = h(
    "dialog",
    { class: kind, "aria-labelledby": id },
    h("div", { class: "top" }, heading, close),
    ...children,
  );
  const before = document.activeElement;
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (before instanceof HTMLElement && before.isConnected) before.focus({ preventScroll: true });
  });
  dialog.addEventListener("keydown", (event) => event.repeat && event.key === "Enter" && event.preventDefault());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

export function isDialogOpen() {
  return document.querySelector("dialog[open]") !== null;
}

/**
 * Ask for a reason by one key.
 *
 * @param {string} title
 * @param {string[]} reasons
 * @param {(reason: string) => void} chosen
 */
export function askReason(title, reasons, chosen) {
  const take = (/** @type {string} */ reason) => {
    dialog.close();
    chosen(reason);
  };
  const choices = reasons.map((reason, index) =>
    h(
      "li",
      {},
      h(
        "button",
        { type: "button", class: "choice", "aria-keyshortcuts": index + 1, onclick: () => take(reason) },
        keycap(String(index + 1)),
        reason,
      ),
    ),
  );
  const other = h("input", {
    type: "text",
    id: "reason",
    maxlength: 500,
    autocomplete: "off",
    placeholder: "Another reason, then Enter",
  });
  other.addEventListener(
    "keydown",
    (event) => event.key === "Enter" && !event.isComposing && other.value.trim() && take(other.value.trim()),
  );
  const dialog = openDialog(
    title,
    "reasons",
    h("ol", { class: "choices" }, ...choices),
    h("label", { class: "hidden", for: "reason" }, "Another reason"),
    other,
  );
  dialog.addEventListener("keydown", (event) => {
    const reason = reasons[Number(event.key) - 1];
    if (!reason || event.repeat || event.target === other) return;
    event.preventDefault();
    take(reason);
  });
  dialog.querySelector("ol")?.querySelector("button")?.focus();
}

/**
 * @param {string} before
 * @param {(note: string) => void} written
 */
export function askNote(before, written) {
  const text = h("textarea", { id: "note", rows: 3, maxlength: 2000 });
  text.value = before;
  const keep = () => {
    dialog.close();
    written(text.value.trim());
  };
  text.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    keep();
  });
  const hint = h(
    "p",
    { class: "soft" },
    "It goes with your next answer on this picture. Enter keeps it, Shift+Enter begins a line.",
  );
  const dialog = openDialog(
    "Note",
    "note",
    h("label", { class: "hidden", for: "note" }, "Note"),
    text,
    hint,
    h("button", { type: "button", class: "main", onclick: keep }, "Keep the note"),
  );
  text.focus();
}

/**
 * Ask to confirm, by Enter.
 *
 * @param {import("./dom.js").Child[]} question
 * @param {string} yes
 * @param {() => void} confirmed
 * @param {string} [title]
 */
export function askConfirm(question, yes, confirmed, title = "Save?") {
  const opened = performance.now();
  const agree = () => {
    if (performance.now() - opened < 150) return; // the second half of a double press
    dialog.close();
    confirmed();
  };
  const button = h("button", { type: "button", class: "main", onclick: agree }, keycap("Enter"), yes);
  const back = h("button", { type: "button", onclick: () => dialog.close() }, keycap("Esc"), "Back");
  const dialog = openDialog(title, "confirm", h("p", {}, ...question), h("p", { class: "row" }, button, back));
  button.focus();
}

/**
 * @typedef {object} Pick
 * @property {string} title
 * @property {string[]} classes
 * @property {string[]} first the likely ones, listed before anything is typed
 * @property {boolean} several
 * @property {(labels: string[]) => void} picked
 */

/**
 * Ask for a class, or several, by typing a part of the name. Nothing is chosen until something is typed or an arrow pressed.
 *
 * @param {Pick} pick
 */
export function askClass(pick) {
  new ClassPicker(pick);
}

class ClassPicker {
  /** @type {string[]} */
  #shown = [];
  /** @type {string[]} */
  #chosen = [];
  #active = -1;
  /** @type {string} what could be made a class; the last one in the list */
  #offered = "";

  /** @param {Pick} pick */
  constructor(pick) {
    this.pick = pick;
    this.names = pick.classes.map((label) => ({ label, plain: plain(label) }));
    this.input = h("input", {
      type: "text",
      id: "class-search",
      role: "combobox",
      autocomplete: "off",
      spellcheck: "false",
      placeholder: "Part of the name",
      "aria-controls": "class-list",
      "aria-expanded": "true",
      "aria-autocomplete": "list",
      oninput: () => this.#find(),
      onkeydown: (/** @type {KeyboardEvent} */ event) => this.#press(event),
    });
    this.list = h("ul", {
      id: "class-list",
      role: "listbox",
      "aria-label": "Classes",
      "aria-multiselectable": pick.several,
    });
    this.more = h("p", { class: "soft", role: "status" });
    this.tray = h("p", { class: "row tray" });
    this.save = h("button", { type: "button", class: "main", onclick: () => this.#finish() });
    const hint = "Type and press Enter for each; 1 to 9 while nothing is typed; Enter once more saves.";
    this.dialog = openDialog(
      pick.title,
      "classes",
      h("label", { class: "hidden", for: "class-search" }, "Find a class"),
      this.input,
      pick.several && this.tray,
      this.list,
      this.more,
      pick.several && h("p", { class: "soft" }, hint),
      pick.several && this.save,
    );
    this.input.focus();
    this.#find();
  }

  #find() {
    const typed = plain(this.input.value.trim());
    const found = typed ? ranked(this.names, typed) : [...new Set([...this.pick.first, ...this.pick.classes])];
    this.#shown = found.slice(0, LISTED);
    this.#offered = newName(this.input.value, this.names);
    if (this.#offered) this.#shown.push(this.#offered);
    this.#active = typed && this.#shown.length ? 0 : -1;
    this.more.textContent = found.length
      ? found.length > LISTED
        ? `and ${found.length - LISTED} more: type on`
        : ""
      : "No class has this in its name.";
    this.#draw();
  }

  #draw() {
    fill(this.list, ...this.#shown.map((label, index) => this.#option(label, index)));
    const active = this.#active >= 0 ? `class-${this.#active}` : null;
    if (active) this.input.setAttribute("aria-activedescendant", active);
    else this.input.removeAttribute("aria-activedescendant");
    this.list.children[this.#active]?.scrollIntoView({ block: "nearest" });
    if (!this.pick.several) return;
    const chips = this.#chosen.map((label) =>
      h("button", { type: "button", class: "chip", onclick: () => this.#take(label) }, word(label), " ×"),
    );
    fill(this.tray, ...(chips.length ? chips : [h("span", { class: "soft" }, "None yet; at least two.")]));
    this.save.disabled = this.#chosen.length < 2;
    fill(this.save, keycap("Enter"), this.#chosen.length < 2 ? "Save" : `Save these ${this.#chosen.length}`);
  }

  /** @param {string} label @param {number} index */
  #option(label, index) {
    const selected = this.pick.several ? this.#chosen.includes(label) : index === this.#active;
    const number = this.pick.several && !this.input.value && index < 9 && keycap(String(index + 1));
    const attributes = {
      id: `class-${index}`,
      role: "option",
      "aria-selected": String(selected),
      class: index === this.#active ? "active" : "",
      onclick: () => this.#take(label),
    };
    const isNew = label === this.#offered && "New class ";
    return h("li", attributes, number, isNew, word(label), isNew && " …", selected && this.pick.several && " ✓");
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    if (event.isComposing) return;
    const number = this.pick.several && !this.input.value && /^[1-9]$/.test(event.key) ? Number(event.key) : 0;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") this.#step(event.key === "ArrowDown" ? 1 : -1);
    else if (event.key === "Enter" && !event.repeat) this.#enter();
    else if (number && this.#shown[number - 1]) this.#take(/** @type {string} */ (this.#shown[number - 1]));
    else return;
    event.preventDefault();
  }

  /** @param {-1|1} step */
  #step(step) {
    this.#active = Math.max(0, Math.min(this.#shown.length - 1, this.#active + step));
    this.#draw();
  }

  #enter() {
    const label = this.#shown[this.#active];
    if (label !== undefined) this.#take(label);
    else if (this.pick.several && !this.input.value) this.#finish();
  }

  /** @param {string} label */
  #take(label) {
    if (label !== this.#offered) return this.#choose(label);
    const question = ["Make the class ", word(label), "? No picture has it yet. Everybody will see it in this list."];
    const make = () => {
      this.names.push({ label, plain: plain(label) });
      this.#offered = "";
      this.#choose(label);
    };
    askConfirm(question, "Make it", make, "A new class");
  }

  /** @param {string} label */
  #choose(label) {
    if (!this.pick.several) {
      this.dialog.close();
      this.pick.picked([label]);
      return;
    }
    this.#chosen = this.#chosen.includes(label)
      ? this.#chosen.filter((one) => one !== label)
      : [...this.#chosen, label];
    this.input.value = "";
    this.input.focus();
    this.#find();
  }

  #finish() {
    if (this.#chosen.length < 2) return;
    this.dialog.close();
    this.pick.picked(this.#chosen);
  }
}

/**
 * What was typed as the name of a class that is not there yet; "" where it is there, or can't be one.
 *
 * @param {string} text
 * @param {{plain: string}[]} names
 */
function newName(text, names) {
  const name = text.trim();
  const taken = ["_unlabeled", "(neither)", "(both)", ...names.map((one) => one.plain)];
  return name.length > LONGEST_NAME || /[\p{C}\p{Zl}\p{Zp}]/u.test(name) || taken.includes(plain(name)) ? "" : name;
}

/**
 * Names that hold what was typed: those that begin with it first, then those of which a word does, then the rest.
 *
 * @param {{label: string, plain: string}[]} names
 * @param {string} typed
 */
function ranked(names, typed) {
  const rank = (/** @type {string} */ name) => {
    const at = name.indexOf(typed);
    if (at <= 0) return at === 0 ? (name === typed ? 0 : 1) : 4;
    return /[\p{L}\p{N}]/u.test(name.charAt(at - 1)) ? 3 : 2;
  };
  const found = names.map((name) => ({ label: name.label, rank: rank(name.plain) })).filter((name) => name.rank < 4);
  return found.sort((a, b) => a.rank - b.rank).map((name) => name.label);
}
