/** Making elements. Text only ever becomes text: a class name may hold anything, HTML and control characters too. */

/** @typedef {Node|string|number|null|undefined|false} Child */

/**
 * An element with attributes, listeners (functions, named `onclick` and so on) and children.
 *
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, unknown>} [attributes] true = present, false and null = absent
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, String(value));
  }
  element.append(...present(children));
  return element;
}

/**
 * @param {Child[]} children
 * @returns {(Node|string)[]}
 */
export function present(children) {
  return children.flatMap((child) =>
    child === null || child === undefined || child === false ? [] : [child instanceof Node ? child : String(child)],
  );
}

/**
 * Put children in place of those that are there.
 *
 * @param {Element} element
 * @param {...Child} children
 */
export function fill(element, ...children) {
  element.replaceChildren(...present(children));
}

/**
 * The element of that id, which index.html promises.
 *
 * @param {string} id
 */
export function byId(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`index.html lacks #${id}`);
  return element;
}

/**
 * A user's word (class, path): isolated, so that a right-to-left name does not turn round what stands beside it.
 *
 * @param {string} text
 * @param {string} [kind]
 */
export function word(text, kind = "label") {
  const parts = printable(text).split(/(?<=[_\-/.\\])/); // a long name wraps where people would break it
  return h("bdi", { class: kind }, ...parts.flatMap((part, index) => (index ? [h("wbr"), part] : [part])));
}

/**
 * The text with a picture in place of each control character, as a name may hold a line break or a change of direction.
 *
 * @param {string} text
 */
export function printable(text) {
  return text
    .replace(/[\u0000-\u001f]/g, (one) => String.fromCharCode(0x2400 + one.charCodeAt(0)))
    .replace(/[\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "\ufffd");
}

/**
 * Do something when the next frame has been painted: what can wait must not keep the next picture waiting.
 *
 * @param {() => void} task
 */
export function afterPaint(task) {
  let done = false;
  const once = () => {
    if (!done) task();
    done = true;
  };
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = once;
  requestAnimationFrame(() => port2.postMessage("")); // this comes before the frame, the message after it
  setTimeout(once, 100); // a page that nobody sees is not painted
}

/** @param {string} key as it is written on the key */
export function keycap(key) {
  return h("kbd", { "aria-hidden": "true" }, key);
}

/**
 * A small picture; where it can't be had, a box that says so.
 *
 * @param {string} id
 * @param {string} alt
 */
export function thumbnail(id, alt) {
  const image = h("img", { src: pictureAddress(id, "thumb"), alt, draggable: "false", decoding: "async" });
  image.addEventListener("error", () => image.replaceWith(h("span", { class: "gone" }, "no picture")), { once: true });
  return image;
}

/**
 * @param {string} id
 * @param {"screen"|"thumb"} size
 */
export function pictureAddress(id, size) {
  return `/api/picture/${encodeURIComponent(id)}?size=${size}`;
}
