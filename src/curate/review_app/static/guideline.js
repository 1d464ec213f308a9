/** The guideline of a class: what belongs to it and what does not, written by those who decide. */

import { fill, h, word } from "./dom.js";
import { openDialog } from "./dialogs.js";
import { Refusal } from "./api.js";

/** @typedef {import("./types.js").Guideline} Guideline */

// The server has made the HTML safe. What comes here is copied element by element all the same: two locks are better.
const TAGS = new Set(
  "A BLOCKQUOTE BR CODE DEL EM H1 H2 H3 H4 H5 H6 HR LI OL P PRE STRONG TABLE TBODY TD TH THEAD TR UL".split(" "),
);

/**
 * @param {import("./api.js").Connection} connection
 * @param {import("./types.js").Session} session
 * @param {string[]} first the classes in question
 */
export function openGuideline(connection, { classes, role }, first) {
  const select = h(
    "select",
    { id: "guideline-class" },
    ...[...new Set([...first, ...classes])].map((label) => h("option", { value: label }, word(label).textContent)),
  );
  const body = h("div", { class: "guideline" });
  openDialog(
    "Guideline",
    "guide",
    h("p", { class: "field" }, h("label", { for: "guideline-class" }, "Class"), select),
    body,
  );
  const load = async () => {
    fill(body, h("p", { class: "soft" }, "Loading …"));
    try {
      show(connection, body, await connection.get("/api/guideline", { label: select.value }), role === "lead");
    } catch (error) {
      fill(body, h("p", {}, /** @type {Error} */ (error).message));
    }
  };
  select.addEventListener("change", load);
  void load();
}

/**
 * @param {import("./api.js").Connection} connection
 * @param {HTMLElement} body
 * @param {Guideline} guideline
 * @param {boolean} mayWrite
 */
function show(connection, body, guideline, mayWrite = true) {
  const edit = h(
    "button",
    { type: "button", onclick: () => write(connection, body, guideline) },
    guideline.text ? "Change it" : "Write it",
  );
  const by =
    guideline.version &&
    h(
      "p",
      { class: "soft" },
      `By ${guideline.author}, ${guideline.written_at.slice(0, 10)}, version ${guideline.version.slice(0, 8)}`,
    );
  fill(
    body,
    guideline.text ? h("div", { class: "text" }, ...copied(guideline.html)) : h("p", {}, "Nobody has written one yet."),
    by,
    ...guideline.issues.map((one) => h("p", {}, h("span", { class: "mark" }, "unclear"), ` “${one.reason}”`)),
    h("p", {}, mayWrite ? edit : "Who leads the review writes guidelines. Say what is unclear in a note."),
  );
}

/** @param {import("./api.js").Connection} connection @param {HTMLElement} body @param {Guideline} guideline */
function write(connection, body, guideline) {
  const text = h("textarea", { id: "guideline-text", rows: 12, maxlength: 20000 });
  text.value = guideline.text;
  const said = h("p", { role: "status" });
  const save = async () => {
    try {
      show(
        connection,
        body,
        await connection.post("/api/guideline", {
          label: guideline.label,
          text: text.value,
          version: guideline.version,
        }),
      );
    } catch (error) {
      fill(
        said,
        `${/** @type {Error} */ (error).message} ${error instanceof Refusal ? error.hint : "Your text is still here."}`,
      );
    }
  };
  const back = h("button", { type: "button", onclick: () => show(connection, body, guideline) }, "Back");
  fill(
    body,
    h("label", { for: "guideline-text" }, "Markdown: what belongs to the class, and what looks like it but does not"),
    text,
    said,
    h("p", { class: "row" }, h("button", { type: "button", class: "main", onclick: save }, "Save"), back),
  );
  text.focus();
}

/** @param {string} html @returns {Node[]} */
export function copied(html) {
  const parsed = new DOMParser().parseFromString(html, "text/html");
  return [...parsed.body.childNodes].flatMap(copyOf);
}

/** @param {Node} node @returns {Node[]} */
function copyOf(node) {
  if (node.nodeType === Node.TEXT_NODE) return [document.createTextNode(node.textContent ?? "")];
  if (!(node instanceof Element)) return [];
  const children = [...node.childNodes].flatMap(copyOf);
  if (!TAGS.has(node.tagName)) return children;
  const element = document.createElement(node.tagName);
  const address = node.getAttribute("href") ?? "";
  if (node.tagName === "A" && /^(https?|mailto):/i.test(address)) {
    for (const [name, value] of [
      ["href", address],
      ["target", "_blank"],
      ["rel", "noopener noreferrer"],
    ])
      element.setAttribute(name ?? "", value ?? "");
  }
  element.append(...children);
  return [element];
}
