/** Numbers and answers as people read them. */

/** @typedef {import("./types.js").Decision} Decision */

/**
 * @param {number} count
 * @param {string} one
 * @param {string} [many]
 */
export function counted(count, one, many = `${one}s`) {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}

/** @param {number|null} probability 0..1 */
export function chance(probability) {
  return probability === null || probability === undefined ? "" : probability.toFixed(2);
}

/** @param {number} share 0..1 */
export function percent(share) {
  const value = share * 100;
  return `${value.toFixed(value < 10 ? 1 : 0)} %`;
}

/** @param {number|null} minutes */
export function duration(minutes) {
  if (minutes === null || minutes === undefined || !Number.isFinite(minutes)) return "";
  if (minutes < 1) return "under 1 min left";
  return minutes < 90 ? `${Math.round(minutes)} min left` : `${(minutes / 60).toFixed(1)} h left`;
}

/**
 * What a decision says, in few words.
 *
 * @param {Pick<Decision, "answer"|"label"|"labels"|"note">} decision
 */
export function verdict(decision) {
  switch (decision.answer) {
    case "keep":
      return "keep";
    case "relabel":
      return `→ ${decision.label ?? ""}`;
    case "both":
      return (decision.labels ?? listOf(decision.label ?? "")).join(" + ");
    case "drop":
      return decision.note ? `drop: ${decision.note}` : "drop";
    case "unsure":
      return "unsure";
    case "flag":
      return "flagged";
    default:
      return "undo";
  }
}

/**
 * The labels of "both" as the log has them: a JSON list.
 *
 * @param {string} label
 * @returns {string[]}
 */
export function listOf(label) {
  try {
    return JSON.parse(label).map(String);
  } catch {
    return [label];
  }
}

/**
 * Lower case without accents, for finding.
 *
 * @param {string} text
 */
export function plain(text) {
  return text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
}

/**
 * Hexadecimal digits at random.
 *
 * @param {number} digits
 */
export function randomHex(digits) {
  const bytes = crypto.getRandomValues(new Uint8Array(Math.ceil(digits / 2)));
  return [...bytes]
    .map((byte) => byte.toString(16).padStart(2, "0"))
    .join("")
    .slice(0, digits);
}

/**
 * Ids (UUID version 4 without hyphens) for the decisions of one action. They share twelve digits, by which an undo after
 * a reload knows what belongs together.
 *
 * @param {number} count
 */
export function newIds(count) {
  const action = randomHex(12);
  return Array.from(
    { length: count },
    () => `${action}4${randomHex(3)}${"89ab"[Math.floor(Math.random() * 4)]}${randomHex(15)}`,
  );
}

/** @param {string} id of a decision */
export function actionOfId(id) {
  return id.slice(0, 12);
}
