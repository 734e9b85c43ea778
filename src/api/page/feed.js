// The last events, newest first, narrowed by the same search as the agents.

import { inWords } from "./agents.js";
import { foreign, make, moment, put } from "./shown.js";
import { clock, count } from "./time.js";

/** As many as one can look back over; the command line has them all. */
export const MOST_EVENTS = 200;

// What a person should look at. The others are how things should be.
const BAD = new Set([
  "agent.unreachable",
  "manifest.unreadable",
  "manifest.duplicate_id",
  "root.offline",
  "root.degraded",
  "watch.overflow",
  "watch.limit",
  "relay.failed",
]);

export class Feed {
  #shown = [];

  constructor(agents) {
    this.home = document.getElementById("event-list");
    this.agents = agents;
    this.none = make("li", { class: "none" });
    this.home.append(this.none);
    this.#sayNone();
  }

  /** Adds events, the oldest first. */
  add(events, filter) {
    for (const event of events.slice(-MOST_EVENTS)) {
      const entry = this.#entry(event);
      entry.element.hidden = !filter.matchesText(entry.searched);
      this.#shown.unshift(entry);
      this.home.prepend(entry.element);
    }
    for (const entry of this.#shown.splice(MOST_EVENTS)) entry.element.remove();
    this.#sayNone();
  }

  /** The past is another one now. */
  clear() {
    for (const entry of this.#shown.splice(0)) entry.element.remove();
    this.#sayNone();
  }

  narrow(filter) {
    for (const entry of this.#shown) entry.element.hidden = !filter.matchesText(entry.searched);
    this.#sayNone();
  }

  #sayNone() {
    this.none.hidden = this.#shown.some(({ element }) => !element.hidden);
    put(
      this.none,
      this.#shown.length > 0
        ? "No event matches the search."
        : "Nothing happened yet. What happens appears here at once.",
    );
  }

  #entry(event) {
    const { agentId, projectPath, scanRoot } = event;
    const name = event.detail?.name ?? this.agents.get(agentId)?.name;
    const said = detail(event);
    const where = projectPath ?? scanRoot;
    const what =
      agentId === undefined
        ? where && foreign(where, { class: "where" })
        : make("a", { href: `#agent=${encodeURIComponent(agentId)}`, title: where }, foreign(name ?? agentId));
    const kind = BAD.has(event.event) ? "bad" : event.event.startsWith("agent.") ? "agent" : "other";
    const element = make(
      "li",
      { class: kind },
      moment(event.at, clock(event.at)),
      make("span", { class: "name" }, event.event),
      what || null,
      said === "" ? null : foreign(said, { class: "detail" }),
    );
    const searched = [event.event, name, agentId, projectPath, scanRoot, said]
      .filter((text) => text !== undefined)
      .join("\n")
      .toLowerCase();
    return { element, searched };
  }
}

// What the event adds to its name and agent.
function detail({ event, detail: given }) {
  if (given === null || typeof given !== "object") return given === undefined ? "" : String(given);
  if (event === "sweep.completed" && typeof given.changes === "number") {
    const changed = given.changes === 0 ? "nothing changed" : count(given.changes, "change");
    return given.failed > 0 ? `${changed}, ${given.failed} failed` : changed;
  }
  const rest = Object.entries(given).filter(([key]) => key !== "name" && key !== "problem");
  return rest
    .map(([key, value]) => {
      if (key === "why") return String(value);
      if (key === "reason") return inWords(value);
      if (Array.isArray(value)) return `${key}: ${value.join(", ")}`;
      return `${key}: ${typeof value === "object" ? JSON.stringify(value) : value}`;
    })
    .join(" · ");
}
