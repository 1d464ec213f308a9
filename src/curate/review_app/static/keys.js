/**
 * Which key does what. People can give every action another key, or switch all of them off (WCAG 2.1.4).
 *
 * One key, one action; no chords but Shift+letter; a key that is held down counts once.
 */

/**
 * @typedef {object} Action
 * @property {string} name
 * @property {string[]} keys as it ships
 * @property {string} title
 * @property {"decide"|"look"|"page"} group
 */

/** @type {readonly Action[]} */
export const ACTIONS = [
  { name: "keep", keys: ["a"], title: "Keep the given label", group: "decide" },
  { name: "suggestion", keys: ["s"], title: "Take the suggestion", group: "decide" },
  ...Array.from({ length: 9 }, (_, index) => numbered(index + 1)),
  { name: "search", keys: ["d", "/"], title: "Search any other class", group: "decide" },
  { name: "both", keys: ["b"], title: "Both, or several classes", group: "decide" },
  { name: "drop", keys: ["x"], title: "Neither, or a bad image: drop it", group: "decide" },
  { name: "unsure", keys: ["u"], title: "Unsure", group: "decide" },
  { name: "flag", keys: ["f"], title: "Flag it for later, and go on", group: "decide" },
  { name: "note", keys: ["n"], title: "Write a note", group: "decide" },
  { name: "undo", keys: ["z"], title: "Undo", group: "decide" },
  { name: "redo", keys: ["Shift+z"], title: "Redo", group: "decide" },
  { name: "back", keys: ["ArrowLeft"], title: "Look back, without deciding", group: "look" },
  { name: "ahead", keys: ["ArrowRight"], title: "Look ahead, without deciding", group: "look" },
  { name: "zoom", keys: [" "], title: "Zoom: fit, 1:1, 2:1", group: "look" },
  { name: "invert", keys: ["i"], title: "Invert the colours", group: "look" },
  { name: "grid", keys: ["v"], title: "Grid of one pair of classes, and back", group: "page" },
  { name: "queues", keys: ["q"], title: "Choose a queue, filter", group: "page" },
  { name: "rank", keys: ["r"], title: "Rank again with what was decided", group: "page" },
  { name: "guide", keys: ["g"], title: "Guideline of the class", group: "page" },
  { name: "team", keys: ["t"], title: "The lead's page: people and votes", group: "page" },
  { name: "help", keys: ["?"], title: "Help and keys", group: "page" },
];

const STORED = "curate-review-keys";
const FIXED = [
  "Tab",
  "Enter",
  "Escape",
  "Backspace",
  "Delete",
  "Shift",
  "Control",
  "Alt",
  "Meta",
  "AltGraph",
  "CapsLock",
  "Dead",
  "Process",
];
/** @type {Record<string, string>} */
const NAMES = { " ": "Space", ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓" };

/** @param {number} number @returns {Action} */
function numbered(number) {
  return { name: `class${number}`, keys: [String(number)], title: `Class or candidate ${number}`, group: "decide" };
}

/** The keys of this browser's user. */
export class Keys {
  on = true;
  /** @type {Map<string, string[]>} action -> its keys */
  #keys = new Map();

  constructor() {
    this.#load();
  }

  /**
   * The action of a key press; null if none, or if it must not count.
   *
   * @param {KeyboardEvent} event
   * @returns {string|null}
   */
  actionOf(event) {
    if (!this.on || event.repeat || event.isComposing || event.ctrlKey || event.altKey || event.metaKey) return null;
    const pressed = [pressedKey(event), sameKeyElsewhere(event)].filter(Boolean);
    for (const key of pressed) {
      for (const [name, keys] of this.#keys) if (keys.includes(/** @type {string} */ (key))) return name;
    }
    return null;
  }

  /** @param {string} action */
  of(action) {
    return this.#keys.get(action) ?? [];
  }

  /**
   * What to write on the key-cap of an action; "" when it has no key.
   *
   * @param {string} action
   */
  cap(action) {
    const first = this.on ? this.of(action)[0] : undefined;
    return first === undefined ? "" : keyName(first);
  }

  /**
   * Give an action another key, which is taken from the action that had it.
   *
   * @param {string} action
   * @param {string} key
   * @returns {string|null} the action that lost it
   */
  give(action, key) {
    const loser = [...this.#keys].find(([name, keys]) => name !== action && keys.includes(key))?.[0] ?? null;
    if (loser)
      this.#keys.set(
        loser,
        this.of(loser).filter((one) => one !== key),
      );
    this.#keys.set(action, [key]);
    this.#save();
    return loser;
  }

  /** @param {boolean} on */
  turn(on) {
    this.on = on;
    this.#save();
  }

  /** Every key as it ships. */
  reset() {
    this.on = true;
    ACTIONS.forEach((action) => this.#keys.set(action.name, [...action.keys]));
    this.#save();
  }

  #load() {
    ACTIONS.forEach((action) => this.#keys.set(action.name, [...action.keys]));
    const stored = readStored();
    this.on = stored.on !== false;
    for (const [name, keys] of Object.entries(stored.keys ?? {})) {
      if (this.#keys.has(name) && Array.isArray(keys))
        this.#keys.set(
          name,
          keys.filter((key) => typeof key === "string"),
        );
    }
  }

  #save() {
    try {
      localStorage.setItem(STORED, JSON.stringify({ on: this.on, keys: Object.fromEntries(this.#keys) }));
    } catch {
      return; // a browser that keeps nothing: they hold until the page is closed
    }
  }
}

/** @returns {{on?: boolean, keys?: Record<string, unknown>}} */
function readStored() {
  try {
    const stored = JSON.parse(localStorage.getItem(STORED) ?? "{}");
    return stored && typeof stored === "object" ? stored : {};
  } catch {
    return {};
  }
}

/**
 * The key as it is stored: a letter in lower case, with "Shift+" before it if that was held; others as they are.
 *
 * @param {KeyboardEvent} event
 */
export function pressedKey(event) {
  const letter = event.key.length === 1 && event.key.toLowerCase() !== event.key.toUpperCase();
  return letter ? `${event.shiftKey ? "Shift+" : ""}${event.key.toLowerCase()}` : event.key;
}

/**
 * The same place on a keyboard with Latin letters and with digits in its upper row: "ф" is where "a" is, "&" where "1" is.
 *
 * @param {KeyboardEvent} event
 */
function sameKeyElsewhere(event) {
  const letter = /^Key([A-Z])$/.exec(event.code)?.[1];
  if (letter && event.key > "\u024f") return `${event.shiftKey ? "Shift+" : ""}${letter.toLowerCase()}`;
  const digit = /^Digit([1-9])$/.exec(event.code)?.[1];
  return digit && !event.shiftKey ? digit : null;
}

/** @param {string} key */
export function mayBeGiven(key) {
  return !FIXED.includes(key) && key !== "Unidentified";
}

/** @param {string} key as it is stored */
export function keyName(key) {
  if (key.startsWith("Shift+")) return `⇧${key.slice(6).toUpperCase()}`;
  return NAMES[key] ?? (key.length === 1 ? key.toUpperCase() : key);
}

/**
 * Whether what is focused takes keys itself: somebody is typing, or works a list.
 *
 * @param {EventTarget|null} target
 */
export function isTyping(target) {
  return target instanceof Element && target.closest("input, textarea, select, [contenteditable], dialog") !== null;
}
