/** Requests to the server, and whether it can be reached. */

const PATIENCE_MS = 20_000; // a server that needs longer is as good as gone, and the journal keeps what was said

/** The server answered, but not with what was asked for. */
export class Refusal extends Error {
  /**
   * @param {number} status
   * @param {string} message
   * @param {string} hint
   * @param {number} waitSeconds as the server wants it; 0 = it does not say
   * @param {boolean} [password] whether one signs in with a password there
   */
  constructor(status, message, hint, waitSeconds, password = false) {
    super(message);
    this.status = status;
    this.hint = hint;
    this.waitSeconds = waitSeconds;
    this.password = password;
  }
}

/** No answer came: no network, or the server has stopped. */
export class Unreachable extends Error {}

/**
 * Whether the server can be reached and knows us. Fires "change" when that changes.
 *
 * @extends {EventTarget}
 */
export class Connection extends EventTarget {
  /** @type {"ok"|"offline"|"signed-out"} */
  state = "ok";

  /**
   * @param {string} path
   * @param {Record<string, string|number>} [query] empty values are left out
   */
  get(path, query = {}) {
    const given = Object.entries(query).filter(([, value]) => value !== "");
    const search = new URLSearchParams(given.map(([name, value]) => [name, String(value)]));
    return this.#ask(search.size ? `${path}?${search}` : path, { method: "GET" });
  }

  /**
   * @param {string} path
   * @param {object} body
   */
  post(path, body) {
    const text = JSON.stringify(body);
    const headers = { "Content-Type": "application/json", "X-Curate": "1" };
    // keepalive lets a short request outlive the page; browsers take at most 64 kB of it.
    return this.#ask(path, { method: "POST", headers, body: text, keepalive: text.length < 30_000 });
  }

  /**
   * Sign in again with the address that the server printed; the page stays as it is.
   *
   * @param {string} address the whole address, or the token alone
   */
  async signIn(address) {
    const token = /[?&]token=([^&#\s]+)/.exec(address)?.[1] ?? address.trim();
    await fetch(`/?token=${encodeURIComponent(decodeURIComponent(token))}`, {
      redirect: "manual",
      credentials: "same-origin",
    });
    await this.get("/api/session");
  }

  /**
   * Sign in again with a password; the page stays as it is.
   *
   * @param {string} name
   * @param {string} password
   */
  async signInByPassword(name, password) {
    await this.post("/api/sign-in", { name, password });
    await this.get("/api/session");
  }

  /** Sign out, and leave the page; the browser asks before it drops what is unsent and in no journal. */
  async signOut() {
    await this.post("/api/sign-out", {});
    location.assign("/");
  }

  /**
   * @param {string} path
   * @param {RequestInit} request
   * @returns {Promise<any>}
   */
  async #ask(path, request) {
    const response = await this.#answer(path, request);
    this.#become(response.status === 401 ? "signed-out" : "ok");
    const body = await response.json().catch(() => ({}));
    if (response.ok) return body;
    const wait = Number(response.headers.get("Retry-After")) || 0;
    const message = body.error ?? `The server answered ${response.status}.`;
    throw new Refusal(response.status, message, body.hint ?? "", wait, body.password);
  }

  /**
   * @param {string} path
   * @param {RequestInit} request
   */
  async #answer(path, request) {
    try {
      return await fetch(path, { ...request, credentials: "same-origin", signal: AbortSignal.timeout(PATIENCE_MS) });
    } catch {
      this.#become("offline");
      throw new Unreachable("The server does not answer.");
    }
  }

  /** @param {"ok"|"offline"|"signed-out"} state */
  #become(state) {
    if (state === this.state) return;
    this.state = state;
    this.dispatchEvent(new Event("change"));
  }
}
