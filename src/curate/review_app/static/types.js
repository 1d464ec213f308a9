/**
 * What the server and the page say to each other, for the type checker; there is no code here.
 *
 * @typedef {{name: string, title: string, total: number, left: number}} QueueInfo
 *
 * @typedef {object} Session
 * @property {string} project
 * @property {string} version
 * @property {string} reviewer
 * @property {string} [store] opaque; tells apart the projects that were served at this address
 * @property {string} [folder]
 * @property {string} [apply] the command that makes a version of what was decided
 * @property {string|null} [start] the queue to begin with
 * @property {string[]} classes
 * @property {QueueInfo[]} queues
 * @property {string[]} splits
 * @property {string[]} checks
 *
 * @typedef {"keep"|"relabel"|"both"|"drop"|"unsure"|"undo"} Answer
 * @typedef {{label: string, probability: number|null}} Candidate
 * @typedef {{id: string, label: string}} Alike
 * @typedef {{id: string, path: string, kept: boolean, label?: string|null, width?: number|null, height?: number|null}} Copy
 * @typedef {{reviewer: string, answer: Answer, label: string, decided_at: string}} Said
 *
 * @typedef {object} Item
 * @property {string} id
 * @property {string} queue
 * @property {string} path
 * @property {number|null} width
 * @property {number|null} height
 * @property {string|null} given
 * @property {string|null} suggested
 * @property {number|null} probability
 * @property {Candidate[]} candidates
 * @property {string[]} because
 * @property {{given: Alike[], suggested: Alike[]}} alike
 * @property {{name: string, why: string}[]} flags
 * @property {Copy[]} copies
 * @property {Said[]} history
 * @property {boolean} hidden given and suggested are kept from the reviewer
 *
 * @typedef {object} Decision
 * @property {string} id 32 hexadecimal digits; those of one action share the first twelve
 * @property {string} item
 * @property {Answer} answer
 * @property {string} [label]
 * @property {string[]} [labels]
 * @property {string} [note]
 * @property {string} [undoes]
 * @property {"single"|"grid"} mode
 * @property {string} shown_at
 * @property {string} client_at
 * @property {number} seconds
 *
 * @typedef {object} Estimate
 * @property {number} checked
 * @property {number} planned
 * @property {number} wrong
 * @property {number|null} upper
 * @property {number} target
 * @property {boolean} reached
 *
 * @typedef {object} Progress
 * @property {number} decided
 * @property {number} left
 * @property {number|null} per_minute
 * @property {number|null} minutes_left
 * @property {number} found
 * @property {number} confirmed
 * @property {Record<string, number>} by_queue
 * @property {Estimate|null} estimate
 *
 * @typedef {{saved: string[], extra: string[], refused: {id: string, why: string}[], progress: Progress}} Receipt
 * @typedef {{items: Item[], left: number, state: "ready"|"empty"|"goal"}} Batch
 * @typedef {{label: string, text: string, html: string, version: string, author: string, written_at: string}} Guideline
 */

export {};
