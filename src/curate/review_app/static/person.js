/** The window about who is signed in. */

import { h, word } from "./dom.js";
import { openDialog } from "./dialogs.js";

/**
 * @param {import("./api.js").Connection} connection
 * @param {import("./types.js").Session} session
 */
export function openPerson(connection, session) {
  const said = h("p", { role: "status" });
  const signOut = () => connection.signOut().catch((/** @type {Error} */ why) => said.replaceChildren(why.message));
  const again = session.password
    ? "To go on, sign in again."
    : "To go on, open a link: opening the one you came by shows a new one where `curate review` was started.";
  openDialog(
    "Signed in",
    "person",
    h("p", {}, "As ", word(session.reviewer), `, ${session.role === "lead" ? "who leads the review" : "a reviewer"}.`),
    h("p", { class: "soft" }, again),
    h("p", {}, h("button", { type: "button", class: "main", onclick: signOut }, "Sign out")),
    said,
  );
}
