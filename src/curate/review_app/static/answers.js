/** From an action to an answer: at once where a key is enough, through a window where it takes a word more. */

import { Screen } from "./screen.js";
import { askClass, askReason } from "./dialogs.js";

/** @typedef {import("./types.js").Item} Item */
/** @typedef {import("./review.js").Words} Words */

export const REASONS = ["corrupt", "out of scope", "duplicate", "private"];

/**
 * @typedef {object} Question
 * @property {string} action
 * @property {Item} item
 * @property {string[]} classes
 * @property {(number: number) => string|undefined} numbered the class of a number key
 * @property {(words: Words) => void} give
 */

/**
 * Give the answer now or later; returns why there is none to give, "" otherwise.
 *
 * @param {Question} question
 * @returns {string}
 */
export function answerOf(question) {
  const { action, item, classes, give } = question;
  if (action === "flag") return flagged(question);
  if (action === "unsure") give({ answer: "unsure" });
  else if (action === "drop") askReason("Drop it, because it is …", REASONS, (note) => give({ answer: "drop", note }));
  else if (action === "both")
    askClass({
      title: "Which classes does it show?",
      classes,
      first: likely(item),
      several: true,
      picked: (labels) => give({ answer: "both", labels }),
    });
  else if (action === "search")
    askClass({
      title: "Which class?",
      classes,
      first: likely(item),
      several: false,
      picked: ([label]) => label !== undefined && give(labelled(item, label)),
    });
  else return answerAtOnce(question);
  return "";
}

/** @param {Question} question */
function flagged({ item, give }) {
  if (item.hidden || item.votes) return "This one can't be left for later: say what it shows, or that you are unsure.";
  if (item.queue === "flagged") return "It is flagged already; look ahead to leave it so.";
  give({ answer: "flag" });
  return "";
}

/** @param {Question} question */
function answerAtOnce({ action, item, numbered, give }) {
  if (action === "keep" && !Screen.canKeep(item)) return "There is no given label to keep: choose a class.";
  if (action === "suggestion" && item.suggested === null) return "Nothing is suggested here: choose a class.";
  const label = action === "suggestion" ? item.suggested : numbered(Number(action.replace("class", "")));
  if (action === "keep") give({ answer: "keep" });
  else if (label != null) give(labelled(item, label));
  return "";
}

/**
 * The class that a picture is given has a shorter name: keep.
 *
 * @param {Item} item
 * @param {string} label
 * @returns {Words}
 */
export function labelled(item, label) {
  return label === item.given ? { answer: "keep" } : { answer: "relabel", label };
}

/** The classes that come to mind first. @param {Item} item */
function likely(item) {
  const labels = [item.given, item.suggested, ...item.candidates.map((one) => one.label)].filter(
    (label) => label !== null,
  );
  return [...new Set(/** @type {string[]} */ (labels))];
}
