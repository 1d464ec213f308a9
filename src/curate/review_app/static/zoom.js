/** One picture in a frame: fit, 1:1, 2:1; wheel, pinch and drag. */

const LARGEST = 8; // screen pixels to one of the picture
const STEP_PX = 80; // of the arrow keys
const BLOCKY = 3; // from here on pixels are shown as squares, as smooth ones would pretend to know more

/**
 * @typedef {{x: number, y: number}} Point
 */

/** Shows what `show` was given. Fires "change" when the scale changes. */
export class Zoom extends EventTarget {
  /** @type {HTMLImageElement|null} */
  #image = null;
  /** @type {number|null} null = fit */
  #scale = null;
  /** @type {Point} of the picture's middle from the frame's, in screen pixels */
  #offset = { x: 0, y: 0 };
  /** @type {Map<number, Point>} fingers and buttons that are down */
  #held = new Map();

  /** @param {HTMLElement} frame */
  constructor(frame) {
    super();
    this.frame = frame;
    new ResizeObserver(() => this.#place()).observe(frame);
    frame.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    frame.addEventListener("pointerdown", (event) => this.#press(event));
    frame.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel"])
      frame.addEventListener(end, (event) => this.#lift(/** @type {PointerEvent} */ (event)));
    frame.addEventListener("dblclick", (event) => this.next(this.#fromMiddle(event)));
  }

  get fits() {
    return this.#scale === null;
  }

  /** "fit", "1:1" and so on, as the page writes it. */
  get name() {
    if (this.#scale === null) return "fit";
    return this.#scale >= 1 ? `${+this.#scale.toFixed(1)}:1` : `1:${+(1 / this.#scale).toFixed(1)}`;
  }

  /** @param {HTMLImageElement} image decoded; the frame fits it again */
  show(image) {
    this.#image = image;
    this.#held.clear();
    this.#scale = null;
    this.#offset = { x: 0, y: 0 };
    image.className = "";
    this.frame.replaceChildren(image);
    this.#place();
    this.dispatchEvent(new Event("change"));
  }

  /**
   * Put the next picture behind this one, too faint to be seen: so the browser has it decoded and in its size by then.
   *
   * @param {HTMLImageElement} image decoded
   */
  standBy(image) {
    if (!this.#image || image.parentNode === this.frame) return;
    const scale = Math.min(this.frame.clientWidth / image.naturalWidth, this.frame.clientHeight / image.naturalHeight);
    image.className = "next";
    image.alt = "";
    image.style.transform = placed(this.frame, image.naturalWidth * scale, image.naturalHeight * scale, scale);
    this.frame.replaceChildren(this.#image, image);
  }

  /** Nothing to zoom. */
  clear() {
    this.#image = null;
  }

  /**
   * From fit to 1:1 to 2:1 and back. A picture that fills less than the frame at 1:1 goes on to what is larger than fit.
   *
   * @param {Point} [at] stays where it is
   */
  next(at = { x: 0, y: 0 }) {
    const now = this.#scale;
    if (now === null) this.to(1, at);
    else if (now < 2) this.to(2, at);
    else this.to(null);
  }

  /**
   * @param {number|null} scale screen pixels to one of the picture; null = fit
   * @param {Point} [at] from the frame's middle
   */
  to(scale, at = { x: 0, y: 0 }) {
    if (!this.#image) return;
    const before = this.#scale ?? this.#fitting();
    const after = scale ?? this.#fitting();
    const factor = after / before;
    this.#offset =
      scale === null
        ? { x: 0, y: 0 }
        : { x: at.x - (at.x - this.#offset.x) * factor, y: at.y - (at.y - this.#offset.y) * factor };
    this.#scale = scale;
    this.#place();
    this.dispatchEvent(new Event("change"));
  }

  /**
   * Move what is seen, by steps.
   *
   * @param {number} right
   * @param {number} down
   */
  pan(right, down) {
    this.#shift(-right * STEP_PX, -down * STEP_PX);
  }

  #fitting() {
    const image = this.#image;
    if (!image?.naturalWidth) return 1;
    return Math.min(this.frame.clientWidth / image.naturalWidth, this.frame.clientHeight / image.naturalHeight);
  }

  /** Put the picture where scale and offset say, never further than its edge. */
  #place() {
    const image = this.#image;
    if (!image?.naturalWidth) return;
    const scale = this.#scale ?? this.#fitting();
    const width = image.naturalWidth * scale;
    const height = image.naturalHeight * scale;
    const room = {
      x: Math.max(0, (width - this.frame.clientWidth) / 2),
      y: Math.max(0, (height - this.frame.clientHeight) / 2),
    };
    this.#offset = { x: clamp(this.#offset.x, room.x), y: clamp(this.#offset.y, room.y) };
    image.style.transform = placed(this.frame, width, height, scale, this.#offset);
    image.classList.toggle("blocky", scale >= BLOCKY);
    this.frame.classList.toggle("zoomed", this.#scale !== null);
  }

  /** @param {number} x @param {number} y */
  #shift(x, y) {
    this.#offset = { x: this.#offset.x + x, y: this.#offset.y + y };
    this.#place();
  }

  /** @param {WheelEvent} event */
  #wheel(event) {
    if (!this.#image) return;
    event.preventDefault();
    const pixels = event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? event.deltaY : event.deltaY * 30;
    this.#scaleBy(Math.exp(-pixels / (event.ctrlKey ? 100 : 400)), this.#fromMiddle(event)); // ctrl: pinch on a touchpad
  }

  /** @param {number} factor @param {Point} at */
  #scaleBy(factor, at) {
    const scale = (this.#scale ?? this.#fitting()) * factor;
    this.to(scale <= this.#fitting() * 1.01 ? null : Math.min(scale, Math.max(LARGEST, this.#fitting() * 2)), at);
  }

  /** @param {PointerEvent} event */
  #press(event) {
    if (!this.#image || event.button) return;
    this.#held.set(event.pointerId, this.#fromMiddle(event));
    if (!this.fits || this.#held.size > 1) this.frame.setPointerCapture(event.pointerId);
  }

  /** @param {PointerEvent} event */
  #move(event) {
    const before = this.#held.get(event.pointerId);
    if (!before) return;
    const after = this.#fromMiddle(event);
    const other = [...this.#held].find(([pointer]) => pointer !== event.pointerId)?.[1];
    if (other) this.#scaleBy(distance(after, other) / Math.max(1, distance(before, other)), other);
    else if (!this.fits) this.#shift(after.x - before.x, after.y - before.y);
    this.#held.set(event.pointerId, after);
  }

  /** @param {PointerEvent} event */
  #lift(event) {
    this.#held.delete(event.pointerId);
  }

  /** @param {MouseEvent} event @returns {Point} */
  #fromMiddle(event) {
    const box = this.frame.getBoundingClientRect();
    return { x: event.clientX - box.left - box.width / 2, y: event.clientY - box.top - box.height / 2 };
  }
}

/**
 * What puts a picture of that size into the middle of the frame.
 *
 * @param {HTMLElement} frame
 * @param {number} width in screen pixels
 * @param {number} height
 * @param {number} scale
 * @param {Point} [offset]
 */
function placed(frame, width, height, scale, offset = { x: 0, y: 0 }) {
  const left = (frame.clientWidth - width) / 2 + offset.x;
  const top = (frame.clientHeight - height) / 2 + offset.y;
  return `translate(${left}px, ${top}px) scale(${scale})`;
}

/** @param {number} value @param {number} most */
function clamp(value, most) {
  return Math.min(most, Math.max(-most, value));
}

/** @param {Point} a @param {Point} b */
function distance(a, b) {
  return Math.hypot(a.x - b.x, a.y - b.y);
}
