// One agent's story: why it is in the state it is in, and what its manifest says. It has an address, `#agent=ID`, so that
// it can be linked to and the browser's back button closes it.

import { foreign, foreignLines, make, shape } from "./shown.js";
import { NoSession, get } from "./session.js";

// What the registry knows beside the manifest's own fields; `explain` says most of it in sentences.
const RECORDED = [
  ["projectPath", "Project"],
  ["scanRoot", "Scan root"],
  ["namespace", "Namespace"],
  ["relaySubject", "Relay subject"],
  ["relay", "Relay"],
];
const TOLD_OTHERWISE = new Set([
  "id",
  "name",
  "displayName",
  "status",
  "healthStatus",
  "lastSeenAt",
  "lastSeenEvent",
  "unreachableSince",
  "unreachableReason",
  "projectPathHex",
  "scanRootHex",
  ...RECORDED.map(([key]) => key),
]);

export class Story {
  #id = null;
  #asked = 0;

  /** `closed` is called when a person closes it; `ended` with the NoSession that a person must mend. */
  constructor({ closed, ended }) {
    this.dialog = document.getElementById("story");
    this.title = document.getElementById("story-title");
    this.body = document.getElementById("story-body");
    Object.assign(this, { closed, ended });
    document.getElementById("story-close").addEventListener("click", () => this.closed());
    this.dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      this.closed();
    });
    // A click beside it: the dialog itself is hit only where its backdrop is.
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.closed();
    });
  }

  get id() {
    return this.#id;
  }

  open(id) {
    if (this.#id === id) return;
    this.#id = id;
    this.title.replaceChildren(foreign(id));
    this.body.replaceChildren(make("p", { class: "quiet" }, "Asking the daemon…"));
    if (!this.dialog.open) this.dialog.showModal();
    this.body.scrollTop = 0;
    this.refresh();
  }

  close() {
    this.#id = null;
    if (this.dialog.open) this.dialog.close();
  }

  /** Asks anew: something happened to the agent. */
  async refresh() {
    const id = this.#id;
    if (id === null) return;
    this.#asked += 1;
    const asked = this.#asked;
    const path = `agents/${encodeURIComponent(id)}`;
    try {
      const [agent, explained] = await Promise.all([get(path), get(`${path}/explain`)]);
      if (asked === this.#asked && id === this.#id) this.#show(agent, explained);
    } catch (error) {
      if (asked !== this.#asked || id !== this.#id) return;
      if (error instanceof NoSession) {
        this.ended(error);
        return;
      }
      const gone = error.status === 404;
      const why = gone ? "No such agent is registered. It may have been removed meanwhile." : error.message;
      this.body.replaceChildren(make("p", {}, foreign(why)));
    }
  }

  #show(agent, explained) {
    this.title.replaceChildren(foreign(agent.displayName || agent.name));
    const timers = explained.timers ?? [];
    const problems = explained.problems ?? [];
    this.body.replaceChildren(
      make(
        "p",
        { class: `verdict ${explained.status}` },
        shape(explained.status),
        make("b", {}, explained.status),
        make("span", {}, foreign(explained.because)),
      ),
      ...(problems.length > 0 ? [make("h3", {}, "Problems"), list(problems, "problem")] : []),
      ...(timers.length > 0 ? [make("h3", {}, "What happens by itself"), list(timers)] : []),
      make("h3", {}, "Evidence"),
      facts(Object.entries(explained.evidence ?? {}).map(([source, sentence]) => [source, foreign(sentence)])),
      make("h3", {}, "Recorded"),
      facts([
        ["id", foreign(agent.id, { class: "code" })],
        ...RECORDED.filter(([key]) => agent[key]).map(([key, title]) => [
          title,
          foreign(agent[key], { class: "code" }),
        ]),
      ]),
      make("h3", {}, "Manifest"),
      facts([["name", foreign(agent.name)], ...manifestFields(agent)]),
    );
  }
}

function manifestFields(agent) {
  const fields = Object.entries(agent).filter(
    ([key, value]) => !TOLD_OTHERWISE.has(key) && value !== null && value !== undefined,
  );
  return fields.flatMap(([key, value]) => fieldOf(key, value));
}

// An object's fields are a line each; what lies deeper is shown as JSON.
function fieldOf(key, value) {
  if (Array.isArray(value) && value.every((item) => typeof item === "string")) {
    return [[key, make("ul", { class: "labels" }, ...value.map((item) => make("li", {}, foreign(item))))]];
  }
  if (typeof value === "string") return [[key, foreignLines(value)]];
  if (typeof value !== "object") return [[key, foreign(value)]];
  const inner = Object.entries(value);
  const flat = !Array.isArray(value) && inner.every(([, item]) => item === null || typeof item !== "object");
  if (!flat) return [[key, foreign(JSON.stringify(value), { class: "code" })]];
  return [
    [
      key,
      inner.map(([name, item]) =>
        make("div", {}, make("span", { class: "quiet" }, foreign(name), " "), foreign(item)),
      ),
    ],
  ];
}

function facts(rows) {
  return make(
    "dl",
    { class: "facts" },
    ...rows.map(([name, value]) => make("div", {}, make("dt", {}, foreign(name)), make("dd", {}, ...[value].flat()))),
  );
}

function list(sentences, kind) {
  return make("ul", { class: kind }, ...sentences.map((sentence) => make("li", {}, foreign(sentence))));
}
