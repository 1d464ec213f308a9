/** Lines across the page that say what is amiss, what it means and what to do; each is drawn once, so that one can type in it. */

import { fill, h, word } from "./dom.js";

/** @typedef {"bad"|"busy"|"good"} Tone */

export class Notices {
  /** @type {Map<string, {text: string, element: HTMLElement}>} */
  #shown = new Map();

  /** @param {HTMLElement} element */
  constructor(element) {
    this.element = element;
    element.setAttribute("role", "status");
    element.setAttribute("aria-live", "polite");
  }

  /**
   * Show, change or (with an empty text) take away a notice.
   *
   * @param {string} name
   * @param {string} text
   * @param {Tone} [tone]
   * @param {() => import("./dom.js").Child[]} [more] buttons and the like
   */
  set(name, text, tone = "bad", more = () => []) {
    if ((this.#shown.get(name)?.text ?? "") === text) return;
    this.#shown.get(name)?.element.remove();
    this.#shown.delete(name);
    if (!text) return;
    const element = h("div", { class: `notice ${tone}` }, h("p", {}, text), ...more());
    this.#shown.set(name, { text, element });
    this.element.append(element);
  }

  /**
   * A notice with a button that takes it away.
   *
   * @param {string} name
   * @param {string} text
   * @param {Tone} tone
   */
  tell(name, text, tone) {
    this.set(name, text, tone, () => [h("button", { type: "button", onclick: () => this.set(name, "") }, "All right")]);
  }
}

/**
 * The field for signing in again with a password, as who one was: what is unsaved is theirs.
 *
 * @param {string} name
 * @param {(password: string) => Promise<void>} signIn
 */
export function passwordField(name, signIn) {
  const input = h("input", { type: "password", id: "password", autocomplete: "current-password", maxlength: 1000 });
  const said = h("p", { role: "status" });
  const go = async (/** @type {Event} */ event) => {
    event.preventDefault();
    fill(said, "Signing in …");
    await signIn(input.value).then(
      () => fill(said),
      (/** @type {Error} */ why) => fill(said, why.message),
    );
  };
  const label = h("label", { for: "password" }, "Password of ", word(name));
  const who = h("input", { type: "text", autocomplete: "username", value: name, readonly: true, hidden: true });
  return h("form", { class: "row", onsubmit: go }, who, label, input, h("button", { class: "main" }, "Sign in"), said);
}

/**
 * The field for signing in again with the address of a link.
 *
 * @param {(address: string) => Promise<void>} signIn
 */
export function signInField(signIn) {
  const input = h("input", {
    type: "text",
    id: "address",
    autocomplete: "off",
    size: 36,
    placeholder: "http://127.0.0.1:…/?token=…",
  });
  const said = h("p", { role: "status" });
  const go = async () => {
    fill(said, "Signing in …");
    await signIn(input.value).then(
      () => fill(said),
      () => fill(said, "That address does not let you in. Is it the newest one?"),
    );
  };
  input.addEventListener("keydown", (event) => event.key === "Enter" && go());
  const label = h("label", { for: "address" }, "The address that `curate review` printed");
  return h(
    "div",
    { class: "row" },
    label,
    input,
    h("button", { type: "button", class: "main", onclick: go }, "Sign in"),
    said,
  );
}
