/**
 * What the server and the page say to each other, for the type checker; there is no code here.
 *
 * @typedef {{name: string, title: string, total: number, left: number}} QueueInfo
 *
 * @typedef {object} Session
 * @property {string} project
 * @property {string} version
 * @property {string} reviewer
 * @property {"reviewer"|"lead"} role
 * @property {boolean} password signs in with a password, not by a link
 * @property {string} [store] opaque; tells apart the projects that were served at this address
 * @property {string} [folder]
 * @property {string} [apply] the command that makes a version of what was decided
 * @property {string|null} [start] the queue to begin with
 * @property {string[]} classes
 * @property {QueueInfo[]} queues
 * @property {string[]} splits
 * @property {string[]} checks
 *
 * @typedef {"keep"|"relabel"|"both"|"drop"|"unsure"|"flag"|"undo"} Answer
 * @typedef {{label: string, probability: number|null}} Candidate
 * @typedef {{id: string, label: string}} Alike
 * @typedef {{id: string, path: string, kept: boolean, label?: string|null, width?: number|null, height?: number|null}} Copy
 * @typedef {{reviewer: string, answer: Answer, label: string, note?: string, decided_at: string}} Said
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
 * @property {{answer: Answer, label: string, note: string}[]} [votes] where they differ, for a lead
 * @property {Alike[]} [alike_voted] of classes that somebody voted for
 *
 * @typedef {object} Decision
 * @property {string} id 32 hexadecimal digits; those of one action share the first twelve
 * @property {string} item
 * @property {Answer} answer
 * @property {string} [label]
 * @property {string[]} [labels]
 * @property {boolean} [new_class] a label that no picture has had yet is meant as a class
 * @property {string} [note]
 * @property {string} [undoes]
 * @property {string[]} [unclear] classes whose guideline did not help, where votes differ
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
 * @typedef {object} Ranking
 * @property {"idle"|"running"|"failed"|"done"} state
 * @property {string} title of the step under way
 * @property {number} done
 * @property {number} total
 * @property {string} error
 * @property {string} hint
 * @property {{came: number, left: number, version: string, is_newer: boolean}|null} outcome
 *
 * @typedef {object} News
 * @property {number} loads how often the server has taken in another order
 * @property {string|null} version a newer one that is not shown here
 * @property {boolean} suspicions whether labels were doubted anew
 * @property {Ranking} ranking
 * @property {string[]} classes that people have made since the version
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
 * @property {News} [news]
 *
 * @typedef {{saved: string[], extra: string[], refused: {id: string, why: string}[], progress: Progress}} Receipt
 * @typedef {{items: Item[], left: number, state: "ready"|"empty"|"goal"}} Batch
 * @typedef {{label: string, text: string, html: string, version: string, author: string, written_at: string, issues: Issue[]}} Guideline
 * @typedef {{decision: string, label: string, reason: string, opened_by: string, opened_at: string}} Issue
 * @typedef {{count: number, total: number, low: number, high: number}} Rate
 *
 * @typedef {object} Person
 * @property {string} name
 * @property {number} decisions
 * @property {Rate} gold
 * @property {Rate} repeats
 * @property {Rate} agreement
 * @property {Rate} hasty
 * @property {number|null} seconds
 * @property {""|"fast"|"slow"} pace
 * @property {number|null} [per_minute] of who is at work
 *
 * @typedef {{label: string, pictures: number, alpha: number|null, alpha_interval: (number|null)[]}} ClassAgreement
 * @typedef {{reviewer: string, right: number, total: number, said: string, times: number}} Cell
 * @typedef {{path: string, given: string|null, votes: {label: string, note: string}[]}} Dispute
 * @typedef {{kind: "added"|"removed"|"same"|"gap", text: string}} Line
 *
 * @typedef {object} Team
 * @property {{pictures: number, alpha: number|null, alpha_interval: (number|null)[], classes: ClassAgreement[]}} agreement
 * @property {Person[]} people
 * @property {{label: string, cells: Cell[]}[]} confusions
 * @property {{left: number, per_minute: number|null, minutes: number|null}} work
 * @property {{total: number, first: Dispute[]}} disputes
 * @property {Issue[]} issues
 * @property {{label: string, versions: number, author: string, written_at: string, changes: Line[]}[]} guidelines
 */

export {};
