/** Help: every key, and the means to change or switch them off. */

import { h, fill } from "./dom.js";
import { openDialog } from "./dialogs.js";
import { ACTIONS, keyName, mayBeGiven, pressedKey } from "./keys.js";

const GROUPS = { decide: "One press decides and goes on", look: "Look, without deciding", page: "The page" };

/**
 * @param {import("./keys.js").Keys} keys
 * @param {() => void} changed
 */
export function openHelp(keys, changed) {
  const body = h("div", { class: "keys" });
  const said = h("p", { class: "soft", role: "status" });
  const draw = () => {
    const [decide, ...others] = Object.entries(GROUPS).map(([group, title]) => keyTable(keys, group, title, listen));
    fill(body, decide, h("div", {}, ...others));
    changed();
  };
  const listen = (/** @type {string} */ action, /** @type {HTMLButtonElement} */ button) =>
    captureKey(button, (key) => {
      const loser = key && keys.give(action, key);
      said.textContent = loser
        ? `${keyName(key)} was the key of “${titleOf(loser)}”, which has none now.`
        : key
          ? `It is ${keyName(key)} now.`
          : "Nothing was changed.";
      draw();
      body.querySelector(`[data-action="${action}"]`)?.dispatchEvent(new Event("refocus"));
    });
  openDialog("Keys", "help", switches(keys, draw), said, body, h("p", { class: "soft" }, ...MORE));
  draw();
}

const MORE = [
  "Everything is also a button. Enter and Esc confirm and go back; in the grid the arrows move. While zoomed in, the arrows move the picture. ",
  "Wheel, pinch and drag work on the picture. A click on one of your last decisions takes it back.",
];

/** @param {import("./keys.js").Keys} keys @param {() => void} draw */
function switches(keys, draw) {
  const box = h("input", { type: "checkbox", id: "keys-on", onchange: () => (keys.turn(box.checked), draw()) });
  box.checked = keys.on;
  const reset = () => {
    keys.reset();
    box.checked = true;
    draw();
  };
  return h(
    "p",
    { class: "row" },
    box,
    h("label", { for: "keys-on" }, "Keys are on"),
    h("button", { type: "button", onclick: reset }, "All as they were"),
  );
}

/**
 * @param {import("./keys.js").Keys} keys
 * @param {string} group
 * @param {string} title
 * @param {(action: string, button: HTMLButtonElement) => void} listen
 */
function keyTable(keys, group, title, listen) {
  const rows = ACTIONS.filter((action) => action.group === group).map((action) => {
    const caps = keys.of(action.name).map((key) => h("kbd", {}, keyName(key)));
    const name = `Change the key of: ${action.title}`;
    const button = h(
      "button",
      {
        type: "button",
        class: "key",
        "data-action": action.name,
        "aria-label": name,
        onclick: () => listen(action.name, button),
      },
      ...(caps.length ? caps : ["none"]),
    );
    button.addEventListener("refocus", () => button.focus());
    return h("tr", {}, h("th", { scope: "row" }, action.title), h("td", {}, button));
  });
  return h("table", {}, h("caption", {}, title), h("tbody", {}, ...rows));
}

/**
 * Take the next key that is pressed; "" for Esc.
 *
 * @param {HTMLButtonElement} button
 * @param {(key: string) => void} taken
 */
function captureKey(button, taken) {
  fill(button, "press a key …");
  const press = (/** @type {KeyboardEvent} */ event) => {
    event.preventDefault();
    event.stopPropagation();
    const key = pressedKey(event);
    if (key !== "Escape" && !mayBeGiven(key)) return;
    stop(key === "Escape" ? "" : key);
  };
  const leave = () => stop("");
  const stop = (/** @type {string} */ key) => {
    button.removeEventListener("keydown", press);
    button.removeEventListener("blur", leave);
    taken(key);
  };
  button.addEventListener("keydown", press);
  button.addEventListener("blur", leave);
  button.focus();
}

/** @param {string} name */
function titleOf(name) {
  return ACTIONS.find((action) => action.name === name)?.title ?? name;
}
