/** The last decisions as small pictures; a click takes one back. */

import { fill, h, keycap, thumbnail, word } from "./dom.js";
import { counted, verdict } from "./words.js";

/** @typedef {import("./past.js").Step} Step */

const SHOWN = 8;

/**
 * @param {HTMLElement} element
 * @param {import("./past.js").Past} past
 * @param {import("./keys.js").Keys} keys
 * @param {(action: string) => void} act
 * @param {(step: Step) => void} takeBack
 */
export function showPast(element, past, keys, act, takeBack) {
  const undo = keys.cap("undo");
  const redo = keys.cap("redo");
  const steps = past.done.slice(-SHOWN).reverse();
  const kept = new Map([...element.querySelectorAll("li")].map((li) => [li.dataset.first, li]));
  const tiles = steps.map((step) => kept.get(step.decisions[0]?.id) ?? tile(step, takeBack));
  const buttons = h(
    "div",
    { class: "row" },
    h("button", { type: "button", "data-action": "undo", onclick: () => act("undo") }, undo && keycap(undo), "Undo"),
    h(
      "button",
      { type: "button", "data-action": "redo", disabled: !past.undone.length, onclick: () => act("redo") },
      redo && keycap(redo),
      "Redo",
    ),
  );
  const focused = document.activeElement?.getAttribute("data-action");
  const inside = element.contains(document.activeElement);
  fill(
    element,
    h("h2", { class: "hidden" }, "Your last decisions"),
    buttons,
    steps.length ? h("ol", {}, ...tiles) : h("p", { class: "soft" }, "Your last decisions will stand here."),
  );
  if (inside && focused) /** @type {HTMLElement|null} */ (element.querySelector(`[data-action="${focused}"]`))?.focus();
}

/** @param {Step} step @param {(step: Step) => void} takeBack */
function tile(step, takeBack) {
  const [first] = step.decisions;
  const many = step.decisions.length > 1;
  const said = many ? counted(step.decisions.length, "picture") : first ? verdict(first) : "";
  const name = `Take back: ${said}${step.path ? `, ${step.path}` : ""}`;
  const button = h(
    "button",
    { type: "button", "aria-label": name, title: name, onclick: () => takeBack(step) },
    first?.item ? thumbnail(first.item, "") : h("span", { class: "gone" }, "gone"),
    h("span", { class: "said" }, word(said)),
  );
  return h("li", { "data-first": first?.id }, button);
}
