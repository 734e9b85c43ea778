// What needs a person: the problems, each with what to do about it.

import { inWords } from "./agents.js";
import { foreign, make, shape } from "./shown.js";
import { count, since as ago } from "./time.js";

// A disk that went bad makes thousands of the same kind. Whoever mends the first hundred sees the others.
const MOST_PROBLEMS = 100;

let before = null;

/** Shows them in `home`. */
export function showProblems(home, problems) {
  // Made anew only if they are others: somebody may be on one of the links, with the keyboard.
  const now = JSON.stringify(problems);
  if (now === before) return;
  before = now;
  if (problems.length === 0) {
    home.replaceChildren(make("p", { class: "quiet" }, "None."));
    return;
  }
  const cards = problems.slice(0, MOST_PROBLEMS).map(card);
  const rest = problems.length - cards.length;
  home.replaceChildren(
    ...cards,
    ...(rest > 0
      ? [make("p", { class: "quiet" }, `and ${count(rest, "more problem")}: `, make("code", {}, "meshd status"))]
      : []),
  );
}

function card({ kind, projectPath, agentId, detail, since, remedy }) {
  const title = inWords(kind);
  const about = agentId ? make("a", { href: `#agent=${encodeURIComponent(agentId)}` }, "the agent’s story") : null;
  return make(
    "article",
    { class: "problem" },
    make("h3", {}, shape("problem"), title[0].toUpperCase() + title.slice(1), ago(since)),
    make("p", { class: "path" }, foreign(projectPath)),
    make("p", {}, foreign(detail)),
    remedy ? make("p", { class: "remedy" }, make("b", {}, "What to do: "), foreign(remedy)) : null,
    about ? make("p", {}, about) : null,
  );
}
