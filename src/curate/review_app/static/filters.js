/** Which queue, and which part of it; kept in the address, so that a reload goes on where one was. */

import { h, word } from "./dom.js";
import { openDialog } from "./dialogs.js";

/** @typedef {import("./queue.js").Filter} Filter */
/** @typedef {import("./types.js").Session} Session */
/** @typedef {import("./dom.js").Child} Child */

const PARTS = /** @type {const} */ (["label", "check", "split", "text"]);

/**
 * What the address says, or the first queue in which something is left.
 *
 * @param {Session} session
 * @returns {Filter}
 */
export function filterFromAddress(session) {
  const asked = new URLSearchParams(location.hash.slice(1));
  const known = session.queues.find((queue) => queue.name === asked.get("queue"));
  const open =
    known ??
    session.queues.find((queue) => queue.name === session.start) ??
    session.queues.find((queue) => queue.left > 0) ??
    session.queues[0];
  if (open?.name === "spot") return unfiltered(open.name);
  const part = (/** @type {string} */ name) => (known ? (asked.get(name) ?? "") : "");
  return {
    name: open?.name ?? "errors",
    label: part("label"),
    check: part("check"),
    split: part("split"),
    text: part("text"),
  };
}

/** @param {Filter} filter */
export function writeToAddress(filter) {
  const parts = new URLSearchParams({ queue: filter.name });
  for (const name of PARTS) if (filter[name]) parts.set(name, filter[name]);
  history.replaceState(null, "", `#${parts}`);
}

/**
 * Ask for queue and filters.
 *
 * @param {Session} session
 * @param {Filter} now
 * @param {(name: string) => string} told how much there is to do
 * @param {(filter: Filter) => void} chosen
 * @param {Child} more what else there is to do
 */
export function askFilter(session, now, told, chosen, more) {
  const queues = session.queues.map((queue) => queueOption(queue, queue.name === now.name, told(queue.name)));
  const label = select("label", "Class", session.classes, now.label);
  const check = select("check", "Check", session.checks, now.check);
  const split = select("split", "Split", session.splits, now.split);
  const text = h("input", { type: "search", id: "filter-text", autocomplete: "off", maxlength: 200 });
  text.value = now.text;
  const pick = () => {
    const name = dialog.querySelector("input[name=queue]:checked")?.getAttribute("value") ?? now.name;
    dialog.close();
    if (name === "spot") return chosen(unfiltered(name)); // of a random sample nobody may choose a part
    chosen({
      name,
      label: label.select.value,
      check: check.select.value,
      split: split.select.value,
      text: text.value.trim(),
    });
  };
  const clear = () => {
    for (const one of [label.select, check.select, split.select]) one.value = "";
    text.value = "";
  };
  const dialog = openDialog(
    "Queue",
    "queues",
    h("fieldset", {}, h("legend", {}, "What to look at"), ...queues),
    h(
      "fieldset",
      {},
      h("legend", {}, "Only"),
      label.row,
      session.checks.length > 0 && check.row,
      session.splits.length > 0 && split.row,
      h("p", { class: "field" }, h("label", { for: "filter-text" }, "Text in the path"), text),
    ),
    h(
      "p",
      { class: "row" },
      h("button", { type: "button", class: "main", onclick: pick }, "Show these"),
      h("button", { type: "button", onclick: clear }, "No filter"),
      more,
    ),
  );
  dialog.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.target instanceof HTMLButtonElement) return;
    event.preventDefault();
    pick();
  });
  /** @type {HTMLElement|null} */ (dialog.querySelector("input:checked"))?.focus();
}

/** @param {import("./types.js").QueueInfo} queue @param {boolean} checked @param {string} told */
function queueOption(queue, checked, told) {
  const input = h("input", { type: "radio", name: "queue", id: `queue-${queue.name}`, value: queue.name });
  input.checked = checked;
  return h(
    "p",
    { class: "row" },
    input,
    h("label", { for: `queue-${queue.name}` }, queue.title, h("span", { class: "soft" }, told)),
  );
}

/** @param {string} name @param {string} title @param {string[]} values @param {string} chosen */
function select(name, title, values, chosen) {
  const options = values.map((value) => h("option", { value }, word(value).textContent));
  const element = h("select", { id: `filter-${name}` }, h("option", { value: "" }, "any"), ...options);
  element.value = chosen;
  return { select: element, row: h("p", { class: "field" }, h("label", { for: `filter-${name}` }, title), element) };
}

/**
 * All of a queue.
 *
 * @param {string} name
 * @returns {Filter}
 */
export function unfiltered(name) {
  return { name, label: "", check: "", split: "", text: "" };
}
