/** The beginning: sign in, learn about the session, show it. */

import { Connection, Refusal } from "./api.js";
import { Review } from "./review.js";
import { byId, fill, h } from "./dom.js";
import { signInField } from "./notices.js";
import { tabName } from "./tab.js";

const ASK_AGAIN_MS = 3_000;

/** @param {Connection} connection */
async function start(connection) {
  const main = byId("main");
  try {
    const session = await connection.get("/api/session");
    await new Review(connection, session, await tabName()).start();
  } catch (error) {
    if (error instanceof Refusal && error.password) return location.reload(); // to the page for signing in
    if (error instanceof Refusal && error.status === 401) return askToSignIn(main, connection);
    const reason = /** @type {Error} */ (error);
    fill(
      main,
      h(
        "div",
        { class: "page" },
        h("div", { role: "status" }, h("h2", {}, reason.message)),
        h(
          "p",
          {},
          reason instanceof Refusal
            ? reason.hint
            : "Is `curate review` still running? This page tries again by itself.",
        ),
      ),
    );
    setTimeout(() => start(connection), ASK_AGAIN_MS);
  }
}

/** @param {HTMLElement} main @param {Connection} connection */
function askToSignIn(main, connection) {
  const signIn = async (/** @type {string} */ address) => {
    await connection.signIn(address);
    await start(connection);
  };
  fill(
    main,
    h(
      "div",
      { class: "page" },
      h("div", { role: "status" }, h("h2", {}, "You are signed out")),
      h("p", {}, "What you decided and was not saved yet is still in this browser."),
      signInField(signIn),
    ),
  );
}

void start(new Connection());
