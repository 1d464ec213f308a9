/** How things stand, in words: the badge, the lines across the page, and what stands in place of a picture. */

import { counted, percent } from "./words.js";
import { fill, h, present, word } from "./dom.js";
import { passwordField, signInField } from "./notices.js";
import { unfiltered } from "./filters.js";

/** @typedef {import("./review.js").Review} Review */
/** @typedef {import("./dom.js").Child} Child */

/**
 * Whether everything is saved.
 *
 * @param {Review} review
 * @returns {{text: string, tone: "good"|"busy"|"bad"}}
 */
export function badge({ sender, connection }) {
  const { waiting, trouble } = sender;
  const kept = waiting ? `${waiting} kept here` : "nothing unsaved";
  if (connection.state === "signed-out") return { text: `Signed out, ${kept}`, tone: "bad" };
  if (connection.state === "offline") return { text: `Offline, ${kept}`, tone: "bad" };
  if (trouble && waiting) return { text: `Not saved yet: ${waiting}`, tone: "bad" };
  return waiting ? { text: `Saving ${waiting} …`, tone: "busy" } : { text: "Saved", tone: "good" };
}

/** @param {Review} review */
export function drawNotices(review) {
  drawConnection(review);
  drawUnsent(review);
  review.notices.set("goal", review.queue.goal && review.queue.shown ? goalText(review) : "", "good");
}

/** @param {Review} review */
function drawConnection({ connection, sender, session, queue, notices }) {
  const safe =
    sender.kind === "memory"
      ? "Keep this page open: this browser can't store them."
      : "They are stored in this browser.";
  const away = `The server does not answer. Go on as long as there are pictures; your answers are kept. ${safe}`;
  notices.set("offline", connection.state === "offline" ? away : "");
  const goOn = async () => {
    await sender.send();
    await queue.fill();
  };
  const field = () =>
    session.password
      ? passwordField(session.reviewer, (password) => connection.signInByPassword(session.reviewer, password).then(goOn))
      : signInField((address) => connection.signIn(address).then(goOn));
  const out = "You are signed out. Your answers are kept here and sent when you are back.";
  notices.set("signed out", connection.state === "signed-out" ? out : "", "bad", () => [field()]);
  const { trouble, waiting } = sender;
  const why = trouble && waiting && connection.state === "ok" ? `${trouble.message} ${trouble.hint}` : "";
  notices.set("trouble", why && `The server can't save just now: ${why} ${safe} They are sent again by themselves.`);
}

/** @param {Review} review */
function drawUnsent({ sender, notices }) {
  const { waiting, kind, refused, foreign } = sender;
  const kept = kind === "memory" && waiting > 1;
  notices.set("memory", kept ? "This browser keeps nothing: don't close the page before everything is saved." : "");
  const reasons = [...new Set(refused.map((entry) => entry.refused))].join(" ");
  const forget = () => [h("button", { type: "button", onclick: () => sender.dismissRefused() }, "Read; forget them")];
  notices.set(
    "refused",
    refused.length ? `The server did not take ${counted(refused.length, "answer")}: ${reasons}` : "",
    "bad",
    forget,
  );
  const others = `${counted(foreign.length, "answer")} of another reviewer or project kept in this browser, to be sent when that one is open here.`;
  notices.set("foreign", foreign.length ? others : "", "busy");
}

/** @param {Review} review */
function goalText({ progress }) {
  const estimate = progress?.estimate;
  if (!estimate || estimate.upper == null) return "The goal is reached: you may stop.";
  const known = `${estimate.wrong} of ${estimate.checked} checked at random were`;
  return `The goal is reached: you may stop. At most ${percent(estimate.upper)} of the labels are wrong, with 95 % confidence; ${known}.`;
}

/**
 * What stands in place of a picture.
 *
 * @param {Review} review
 */
export function drawPage(review) {
  review.screen.clear();
  const [title, ...children] = pageOf(review);
  const text = [title, ...present(children).map((child) => (child instanceof Node ? child.textContent : child))].join(
    "|",
  );
  if (review.page.dataset.drawn === text) return; // what is focused stays focused
  review.page.dataset.drawn = text;
  fill(review.page, h("div", { role: "status" }, h("h2", {}, title)), ...children);
}

/**
 * @param {Review} review
 * @returns {[string, ...Child[]]}
 */
function pageOf(review) {
  const { state, trouble, filtered, filter } = review.queue;
  if (review.connection.state !== "ok")
    return [
      "No more pictures until the server is back",
      h("p", {}, "Your answers are kept. This page tries again by itself."),
    ];
  if (trouble)
    return [
      `${trouble.message} ${"hint" in trouble ? trouble.hint : ""}`,
      h("p", {}, "This page tries again by itself."),
    ];
  if (state === "loading" || state === "ready") return ["Loading …"];
  if (state === "elsewhere")
    return [
      "The last pictures are with somebody else, or in another tab",
      h("p", {}, "This page looks again every few seconds."),
    ];
  if (state === "goal") return [goalText(review), ...whatNext(review)];
  if (!filtered) return ["This queue is empty", ...whatNext(review)];
  const without = h(
    "button",
    { type: "button", class: "main", onclick: () => review.switchTo(unfiltered(filter.name)) },
    "Without filter",
  );
  return ["No picture is left that fits the filter", h("p", {}, without), ...whatNext(review)];
}

/**
 * The other queues, and how to make a version of it all.
 *
 * @param {Review} review
 */
function whatNext(review) {
  const { session, queue } = review;
  const others = session.queues.filter((one) => one.name !== queue.filter.name && review.offers(one.name));
  const buttons = others.map((one) => {
    const left = h("span", { class: "soft" }, review.told(one.name));
    return h(
      "li",
      {},
      h("button", { type: "button", onclick: () => review.switchTo(unfiltered(one.name)) }, one.title, left),
    );
  });
  const line = session.apply ?? `curate apply ${session.folder ?? "DIR"}`;
  return [
    others.length > 0 && h("p", {}, "Go on with"),
    others.length > 0 && h("ul", { class: "row" }, ...buttons),
    h("p", {}, "Make a version of what was decided; type this in the terminal:"),
    h("code", { class: "command" }, word(line, "line")),
  ];
}
