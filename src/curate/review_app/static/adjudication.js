/** Where votes differ: what was said, without names; the guidelines in question; and the reason, which is asked for. */

import { fill, h, keycap, word } from "./dom.js";
import { openDialog } from "./dialogs.js";
import { copied } from "./guideline.js";
import { listOf, verdict } from "./words.js";

/** @typedef {import("./types.js").Item} Item */
/** @typedef {import("./types.js").Guideline} Guideline */
/** @typedef {(label: string) => Promise<Guideline>} ReadGuideline */

const MOST_CLASSES = 4; // whose guidelines are shown: three votes and the given label name no more

/**
 * The classes that the given label and the votes name.
 *
 * @param {Item} item
 * @returns {string[]}
 */
function inQuestion(item) {
  const voted = (item.votes ?? []).flatMap((vote) =>
    vote.answer === "both" ? listOf(vote.label) : vote.answer === "relabel" ? [vote.label] : [],
  );
  return [...new Set([...(item.given === null ? [] : [item.given]), ...voted])].slice(0, MOST_CLASSES);
}

/**
 * Show the votes on a picture, and what the guidelines say of the classes they name.
 *
 * @param {HTMLElement} element
 * @param {Item} item
 * @param {ReadGuideline} read
 */
export function showVotes(element, item, read) {
  const votes = (item.votes ?? []).map((vote) => {
    const said = vote.answer === "keep" && item.given !== null ? `keep ${item.given}` : verdict({ ...vote, note: "" });
    return h("li", {}, word(said), vote.note && h("span", { class: "soft" }, ` “${vote.note}”`));
  });
  const excerpts = h("div", {});
  fill(
    element,
    h("h2", {}, "Votes, in no order"),
    h("ul", { class: "votes" }, ...votes),
    h("p", { class: "soft" }, "You decide, with a reason."),
    excerpts,
  );
  for (const label of inQuestion(item)) {
    const place = h("div", {});
    excerpts.append(place);
    read(label).then(
      (guideline) => fill(place, ...excerptOf(guideline)),
      () => fill(place, h("p", { class: "soft" }, "The guideline of ", word(label), " can't be had now.")),
    );
  }
}

/** @param {Guideline} guideline @returns {HTMLElement[]} */
function excerptOf(guideline) {
  const title = h("h3", {}, "Guideline of ", word(guideline.label));
  if (!guideline.text) return [title, h("p", { class: "soft" }, "Nobody has written one yet.")];
  const attributes = { class: "guideline", tabindex: 0, role: "region", "aria-label": `Guideline of ${guideline.label}` };
  const unclear = guideline.issues.length > 0 && h("p", {}, h("span", { class: "mark" }, "said to be unclear"));
  const text = h("div", attributes, h("div", { class: "text excerpt" }, ...copied(guideline.html)));
  return unclear ? [title, unclear, text] : [title, text];
}

/**
 * Ask for the reason of a decision, which has to be given, and what is unclear.
 *
 * @param {Item} item
 * @param {import("./review.js").Words} words what is about to be said
 * @param {string} before what was written already
 * @param {(reason: string, unclear: string[]) => void} given
 */
export function askGrounds(item, words, before, given) {
  const text = h("textarea", { id: "grounds", rows: 3, maxlength: 2000, required: true, "aria-describedby": "lacking" });
  text.value = before;
  const lacking = h("p", { id: "lacking", class: "soft", role: "status" }, "It is kept with the decision.");
  const boxes = inQuestion(item).map((label, index) => {
    const box = h("input", { type: "checkbox", id: `unclear-${index}`, value: label });
    return { box, row: h("p", { class: "row" }, box, h("label", { for: `unclear-${index}` }, word(label))) };
  });
  const save = () => {
    const reason = text.value.trim();
    if (!reason) {
      lacking.textContent = "Write why: those who voted otherwise will want to know.";
      return text.focus();
    }
    dialog.close();
    given(
      reason,
      boxes.filter(({ box }) => box.checked).map(({ box }) => box.value),
    );
  };
  const dialog = openDialog(
    `Why ${verdict({ ...words, note: "" })}?`,
    "grounds",
    h("label", { class: "hidden", for: "grounds" }, "The reason"),
    text,
    lacking,
    boxes.length > 0 &&
      h("fieldset", {}, h("legend", {}, "The guideline of this class is unclear"), ...boxes.map(({ row }) => row)),
    h("p", { class: "row" }, h("button", { type: "button", class: "main", onclick: save }, keycap("Enter"), "Decide")),
  );
  dialog.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.target instanceof HTMLButtonElement) return;
    event.preventDefault();
    if (!event.repeat) save();
  });
  text.focus();
}
