// What the page knows of the agents: one row each, made once from what the daemon said, and what search and filters
// leave of them. A row is never changed: news of an agent is a new row, so that "is it the same" is one comparison.

export const STATUSES = ["active", "inactive", "stale", "unreachable"];

// Why an agent is unreachable, and what is wrong with one that is not, in few words: the story has the whole sentence.
const REASONS = {
  manifest_gone: "manifest gone",
  other_manifest: "another agent’s manifest there",
  contested: "id contested",
  root_offline: "scan root offline",
  out_of_scope: "under no scan root",
};
const PROBLEMS = { unreadable: "manifest unreadable", duplicate_id: "id held by another", contested: "id contested" };

// The worst last, so that sorting downwards puts it first.
const SEVERITY = new Map(STATUSES.map((status, index) => [status, index]));

// One collator for all: making one for each comparison is a hundred times slower.
const letters = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
const byText = (key) => (one, other) => letters.compare(one[key], other[key]);
const byNumber = (key) => (one, other) => one[key] - other[key];

/** The columns of the table, in order, each with how its rows are sorted. */
export const COLUMNS = [
  { key: "status", title: "Status", compare: (one, other) => SEVERITY.get(one.status) - SEVERITY.get(other.status) },
  { key: "name", title: "Name", compare: byText("name") },
  { key: "id", title: "Id", compare: byText("id") },
  { key: "runtime", title: "Runtime", compare: byText("runtime") },
  { key: "namespace", title: "Namespace", compare: byText("namespace") },
  { key: "path", title: "Project", compare: byText("path") },
  // The youngest first: what is sorted is the age and not the moment.
  { key: "age", title: "Age", compare: (one, other) => other.sinceMs - one.sinceMs },
  // Those with a reason first.
  {
    key: "reason",
    title: "Reason",
    compare: (one, other) => (one.reason === "") - (other.reason === "") || letters.compare(one.reason, other.reason),
  },
];

/** A reason or a kind of problem in few words. */
export function inWords(code) {
  return REASONS[code] ?? PROBLEMS[code] ?? String(code ?? "").replaceAll("_", " ");
}

/** What must match: words anywhere, and of each choice the one that is chosen or none. */
export class Filter {
  constructor({ text = "", status = "", runtime = "", namespace = "" } = {}) {
    this.words = text
      .toLowerCase()
      .split(/\s+/u)
      .filter((word) => word !== "");
    Object.assign(this, { status, runtime, namespace });
  }

  get isEmpty() {
    return this.words.length === 0 && this.status === "" && this.runtime === "" && this.namespace === "";
  }

  /** Whether a text in small letters has all the words. */
  matchesText(text) {
    return this.words.every((word) => text.includes(word));
  }

  matches(row) {
    return (
      (this.status === "" || row.status === this.status) &&
      (this.runtime === "" || row.runtime === this.runtime) &&
      (this.namespace === "" || row.namespace === this.namespace) &&
      this.matchesText(row.searched)
    );
  }
}

export class Agents {
  #rows = new Map();
  #problems = new Map();

  get size() {
    return this.#rows.size;
  }

  get(id) {
    return this.#rows.get(id);
  }

  /** Everything anew. */
  replace(list) {
    this.#rows = new Map(list.map((agent) => [agent.id, this.#row(agent)]));
  }

  put(agent) {
    this.#rows.set(agent.id, this.#row(agent));
  }

  remove(id) {
    this.#rows.delete(id);
  }

  /** Takes what is wrong with which projects: the reason of an agent that is not unreachable. Says if that changes a row. */
  setProblems(problems) {
    const known = new Map(problems.map((problem) => [problem.projectPath, problem.kind]));
    const before = this.#problems;
    this.#problems = known;
    const rows = [...this.#rows.values()].filter(({ path }) => before.get(path) !== known.get(path));
    for (const row of rows) this.put(row.agent);
    return rows.length > 0;
  }

  /** The ids of those that are there and that the relay does not reach yet. */
  pending() {
    const rows = [...this.#rows.values()];
    return rows.filter(({ agent, status }) => agent.relay === "pending" && status !== "unreachable").map(({ id }) => id);
  }

  /** The rows that match, in an order by a column's key. */
  found(filter, { key, descending }) {
    const compare = COLUMNS.find((column) => column.key === key).compare;
    const way = descending ? -1 : 1;
    const rows = [...this.#rows.values()].filter((row) => filter.matches(row));
    return rows.sort(
      (one, other) =>
        way * compare(one, other) || letters.compare(one.name, other.name) || (one.id < other.id ? -1 : 1),
    );
  }

  /** How many there are of each value of a key, sorted by it. */
  tally(key) {
    const counts = new Map();
    for (const row of this.#rows.values()) counts.set(row[key], (counts.get(row[key]) ?? 0) + 1);
    return [...counts].sort(([one], [other]) => letters.compare(one, other));
  }

  #row(agent) {
    const { id, name, displayName, runtime, namespace, projectPath, capabilities } = agent;
    const searched = [name, displayName, id, projectPath, ...(capabilities ?? [])];
    return {
      agent,
      id,
      name: String(name ?? id),
      status: SEVERITY.has(agent.status) ? agent.status : "unreachable",
      runtime: String(runtime ?? ""),
      namespace: String(namespace ?? ""),
      path: String(projectPath ?? ""),
      place: placeOf(agent),
      ...ageOf(agent),
      reason: this.#reason(agent),
      searched: searched
        .filter((text) => typeof text === "string")
        .join("\n")
        .toLowerCase(),
    };
  }

  #reason(agent) {
    if (agent.unreachableReason) return inWords(agent.unreachableReason);
    if (agent.damaged) return "row damaged";
    const problem = this.#problems.get(agent.projectPath);
    if (problem !== undefined) return inWords(problem);
    return agent.relay === "pending" ? "relay pending" : "";
  }
}

// Of an agent that is unreachable, since when it is; of others, since when nothing was heard of them.
function ageOf({ status, unreachableSince, lastSeenAt }) {
  const isUnreachable = status === "unreachable" && unreachableSince;
  const since = (isUnreachable ? unreachableSince : lastSeenAt) ?? "";
  const sinceMs = Date.parse(since);
  return {
    since,
    sinceMs: Number.isNaN(sinceMs) ? -Infinity : sinceMs,
    sinceWhat: isUnreachable ? "unreachable since" : "last seen",
  };
}

// The path from its scan root's own name on: what tells projects apart is at the end, and a column is narrow.
function placeOf({ projectPath, scanRoot }) {
  const path = String(projectPath ?? "");
  if (!scanRoot || !path.startsWith(scanRoot)) return path;
  return path.slice(scanRoot.replace(/\/+$/u, "").lastIndexOf("/") + 1);
}
