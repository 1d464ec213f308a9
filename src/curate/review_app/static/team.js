/** The lead's page: how far people agree, how each does, what is disputed or unclear, and how the guidelines changed. */

import { Refusal } from "./api.js";
import { fill, h, word } from "./dom.js";
import { openDialog } from "./dialogs.js";
import { openGuideline } from "./guideline.js";
import { counted, duration, percent } from "./words.js";
import { unfiltered } from "./filters.js";

/** @typedef {import("./types.js").Team} Team */
/** @typedef {import("./types.js").Rate} Rate */
/** @typedef {import("./review.js").Review} Review */
/** @typedef {import("./dom.js").Child} Child */

const AGAIN_MS = 30_000; // it takes the server two seconds after 40,000 answers

/** @param {Review} review */
export function openTeam(review) {
  const body = h("div", { class: "sections" });
  const said = h("p", { class: "soft", role: "status" }, "Loading …");
  const dialog = openDialog("Team", "team", said, body);
  let drawn = "";
  const look = async () => {
    try {
      const team = /** @type {Team} */ (await review.connection.get("/api/team"));
      said.textContent = "";
      const text = JSON.stringify(team);
      if (text !== drawn) draw(body, team, review, () => dialog.close(), look); // what is read or focused stays
      drawn = text;
    } catch (error) {
      const { message, hint = "" } = /** @type {Refusal} */ (error);
      said.textContent = `${message} ${hint} This window tries again by itself.`;
    }
  };
  const timer = window.setInterval(() => !document.hidden && look(), AGAIN_MS);
  dialog.addEventListener("close", () => clearInterval(timer));
  void look();
}

/**
 * @param {HTMLElement} body
 * @param {Team} team
 * @param {Review} review
 * @param {() => void} close
 * @param {() => void} again
 */
function draw(body, team, review, close, again) {
  const focused = body.contains(document.activeElement) ? document.activeElement?.getAttribute("data-name") : null;
  fill(
    body,
    section("How it goes", pace(team), people(team)),
    section("Where people differ", ...agreement(team), ...confusions(team)),
    section("Votes that differ", ...disputes(team, review, close)),
    section("Guidelines", ...issues(team, review, again), ...guidelines(team, review)),
    section("Answers", download()),
  );
  if (focused) /** @type {HTMLElement|null} */ (body.querySelector(`[data-name="${CSS.escape(focused)}"]`))?.focus();
}

/** @param {string} title @param {...Child} children */
function section(title, ...children) {
  return h("section", {}, h("h3", {}, title), ...children);
}

/**
 * A table that scrolls by itself where it is wider than the screen.
 *
 * @param {string} name
 * @param {Child[]} head
 * @param {Child[][]} rows the first of each names it
 */
function table(name, head, rows) {
  const cells = rows.map(([first, ...rest]) =>
    h("tr", {}, h("th", { scope: "row" }, first), ...rest.map((cell) => h("td", {}, cell))),
  );
  return h(
    "div",
    { class: "wide", tabindex: 0, role: "region", "aria-label": name },
    h(
      "table",
      {},
      h("thead", {}, h("tr", {}, ...head.map((cell) => h("th", { scope: "col" }, cell)))),
      h("tbody", {}, ...cells),
    ),
  );
}

/** @param {Team} team */
function pace({ work }) {
  const parts = [counted(work.left, "answer") + " to go"];
  if (work.per_minute) parts.push(`${Math.round(work.per_minute)} per min together`, duration(work.minutes));
  return h("p", {}, parts.join(" · "));
}

/** @param {Rate} rate */
function share({ count, total, low, high }) {
  if (!total) return "–";
  return h("span", {}, percent(count / total), h("br"), h("span", { class: "soft" }, `${percent(low)} to ${percent(high)}, of ${total}`));
}

/** @param {Team} team */
function people({ people: everybody }) {
  if (!everybody.length) return h("p", { class: "soft" }, "Nobody has answered yet.");
  const rows = everybody.map((one) => [
    word(one.name),
    String(one.decisions),
    share(one.gold),
    share(one.repeats),
    share(one.agreement),
    h(
      "span",
      {},
      one.seconds === null ? "–" : `${one.seconds.toFixed(1)} s`,
      one.pace && h("span", { class: "mark" }, one.pace),
      one.hasty.count > 0 && h("span", { class: "soft" }, ` ${percent(one.hasty.count / one.hasty.total)} under 0.5 s`),
    ),
    one.per_minute ? `${Math.round(one.per_minute)} per min` : "–",
  ]);
  const head = ["Who", "Answers", "Right on gold", "Same when repeated", "As most", "Time", "Now"];
  return table("How each does", head, rows);
}

/** @param {number|null} alpha @param {(number|null)[]} interval */
function alphaOf(alpha, [low, high]) {
  if (alpha === null) return "can't be told yet";
  return low == null || high == null ? alpha.toFixed(2) : `${alpha.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)})`;
}

/** @param {Team} team */
function agreement({ agreement: found }) {
  const all = `Krippendorff's alpha ${alphaOf(found.alpha, found.alpha_interval)}, on ${counted(found.pictures, "picture")} with two votes or more.`;
  const rows = found.classes.map((one) => [
    word(one.label),
    alphaOf(one.alpha, one.alpha_interval),
    String(one.pictures),
  ]);
  return [
    h("p", {}, all, h("span", { class: "soft" }, " 1: all agree, 0: as by chance; with 95 % confidence.")),
    rows.length > 0 && table("Agreement by class", ["Class", "Alpha", "Pictures"], rows),
  ];
}

/** @param {Team} team */
function confusions({ people: everybody, confusions: rows }) {
  if (!rows.length) return [];
  const names = everybody.map((one) => one.name);
  const body = rows.map((row) => [
    word(row.label),
    ...row.cells.map((cell) =>
      cell.total
        ? h("span", {}, `${cell.right}/${cell.total}`, cell.times > 0 && h("br"), cell.said && word(`→ ${cell.said} ×${cell.times}`))
        : "–",
    ),
  ]);
  return [
    h("p", {}, "Of pictures that most called so, how many each did too, and what they said most often instead:"),
    table("Who takes which class for which", ["Most said", ...names.map((name) => word(name))], body),
  ];
}

/** @param {Team} team @param {Review} review @param {() => void} close */
function disputes({ disputes: { total, first } }, review, close) {
  if (!total) return [h("p", { class: "soft" }, "None waits for you.")];
  const decide = () => {
    close();
    review.switchTo(unfiltered("adjudication"));
  };
  const rows = first.map((one) => {
    const votes = one.votes.map((vote) => h("li", {}, word(vote.label), vote.note && ` “${vote.note}”`));
    return [word(one.path, "path"), one.given === null ? "none" : word(one.given), h("ul", {}, ...votes)];
  });
  return [
    h(
      "p",
      { class: "row" },
      h("button", { type: "button", class: "main", "data-name": "decide", onclick: decide }, `Decide on ${counted(total, "picture")}`),
    ),
    table("Pictures whose votes differ", ["Picture", "Given", "Votes"], rows),
  ];
}

/** @param {Team} team @param {Review} review @param {() => void} again */
function issues({ issues: open }, review, again) {
  if (!open.length) return [h("p", { class: "soft" }, "Nothing is said to be unclear.")];
  const items = open.map((one) => {
    const close = async () => {
      await review.connection.post("/api/issue", { decision: one.decision, label: one.label }).catch(() => undefined);
      again();
    };
    const name = `${one.label} ${one.decision}`;
    return h(
      "li",
      {},
      h("span", { class: "mark" }, "unclear"),
      " ",
      word(one.label),
      ` “${one.reason}” `,
      h("span", { class: "soft" }, word(one.opened_by), `, ${one.opened_at.slice(0, 10)}`),
      h(
        "span",
        { class: "row" },
        h("button", { type: "button", "data-name": `write ${name}`, onclick: () => guide(review, one.label) }, "Write its guideline"),
        h("button", { type: "button", "data-name": `close ${name}`, onclick: close }, "Close"),
      ),
    );
  });
  return [h("ul", { class: "issues" }, ...items)];
}

/** @param {Review} review @param {string} label */
function guide(review, label) {
  openGuideline(review.connection, review.session, [label]);
}

/** @param {Team} team @param {Review} review */
function guidelines({ guidelines: written }, review) {
  return written.map((one) => {
    const lines = one.changes.map(({ kind, text }) =>
      kind === "gap" ? h("li", { class: "gap" }, "…") : h("li", { class: kind }, KINDS[kind], text || " "),
    );
    const button = h(
      "button",
      { type: "button", "data-name": `guide ${one.label}`, onclick: () => guide(review, one.label) },
      "Open it",
    );
    return h(
      "details",
      {},
      h(
        "summary",
        {},
        word(one.label),
        h("span", { class: "soft" }, `, ${counted(one.versions, "version")}, last by `, word(one.author), ` ${one.written_at.slice(0, 10)}`),
      ),
      h("p", { class: "soft" }, one.versions > 1 ? "What the last edit changed:" : "What was written:"),
      h("ol", { class: "changes" }, ...lines),
      h("p", {}, button),
    );
  });
}

/** @type {Record<string, Node|string>} what a line is, for those who see no colour or no screen */
const KINDS = { added: "+ ", removed: "− ", same: "  " };

function download() {
  return h("p", {}, h("a", { href: "/api/answers.csv", download: "answers.csv" }, "All answers as a table (CSV)"));
}
