// The page: what is where, and who tells whom. Everything that it shows is asked of the daemon; it decides nothing.

import { Agents, Filter, STATUSES } from "./agents.js";
import { showBanner, showDaemon, showRoots } from "./daemon.js";
import { Feed } from "./feed.js";
import { Follower } from "./follow.js";
import { NamespaceMap } from "./map.js";
import { showProblems } from "./problems.js";
import { NoSession, begin, isOffered } from "./session.js";
import { attribute, make, put, shape } from "./shown.js";
import { Story } from "./story.js";
import { showSweeps } from "./sweeps.js";
import { Table } from "./table.js";
import { count, number, tickAges } from "./time.js";

const VIEWS = ["table", "map", "events", "problems", "daemon"];

const at = (id) => document.getElementById(id);
const choices = { status: at("filter-status"), runtime: at("filter-runtime"), namespace: at("filter-namespace") };
const search = at("search");

const agents = new Agents();
const feed = new Feed(agents);
const table = new Table({ open: (id) => go(`#agent=${encodeURIComponent(id)}`), sorted: () => refresh() });
const map = new NamespaceMap({
  open: (id) => go(`#agent=${encodeURIComponent(id)}`),
  choose: (namespace) => {
    choices.namespace.value = namespace;
    refresh();
    go("#table");
  },
});
const story = new Story({ closed: leaveStory, failed: ended });
const follower = new Follower({
  agents,
  changed: (ids) => {
    table.mark(ids);
    showChoices();
    refresh();
    if (ids.includes(story.id)) story.refresh();
  },
  facts: showFacts,
  happened: (events) => feed.add(events, filter),
  forgotten: () => feed.clear(),
  state: showConnection,
  ended,
});

let filter = new Filter();
let view = "table";
// Whether the story was opened here: then "back" closes it, and otherwise would leave the page.
let cameFromHere = false;
let loaded = false;

// -- the session -------------------------------------------------------------
async function enter() {
  try {
    await begin();
  } catch (error) {
    ended(error);
    return;
  }
  at("door").hidden = true;
  route();
  follower.start();
}

function ended(error) {
  if (!(error instanceof NoSession)) return;
  story.close();
  loaded = false;
  for (const part of ["main", "views", "counts", "banner"]) at(part).hidden = true;
  at("door").hidden = false;
  put(at("door-why"), error.message);
  showConnection("closed");
}

function showConnection(state) {
  const words = { live: "live", reconnecting: "reconnecting", connecting: "connecting", closed: "no session" };
  at("connection").dataset.state = state;
  put(at("connection"), words[state]);
}

// -- what is shown -------------------------------------------------------------
function showFacts({ status, problems, sweeps }) {
  if (agents.setProblems(problems) && loaded) refresh();
  showProblems(at("problem-list"), problems);
  showRoots(at("roots"), status.roots ?? []);
  showDaemon(at("daemon-facts"), status);
  showBanner(at("banner"), { ...status, roots: status.roots ?? [] });
  showSweeps(at("sweeps"), sweeps);
  at("problem-count").hidden = problems.length === 0;
  put(at("problem-count"), number(problems.length));
  put(at("problems-title"), problems.length === 0 ? "Problems" : `Problems (${number(problems.length)})`);
}

function showCounts() {
  const rows = new Map(agents.tally("status"));
  const chips = [["", agents.size], ...STATUSES.map((status) => [status, rows.get(status) ?? 0])];
  const home = at("counts");
  if (home.childElementCount === 0) {
    for (const [status] of chips) {
      const chip = make(
        "button",
        { type: "button", class: `chip ${status || "all"}` },
        status === "" ? null : shape(status),
        make("b", {}),
        make("span", {}, status || "agents"),
      );
      chip.addEventListener("click", () => {
        choices.status.value = choices.status.value === status ? "" : status;
        refresh();
      });
      home.append(chip);
    }
  }
  chips.forEach(([status, many], index) => {
    put(home.children[index].querySelector("b"), number(many));
    attribute(home.children[index], "aria-pressed", String(filter.status === status));
  });
}

function showChoices() {
  for (const [key, select] of Object.entries(choices)) {
    const counts = new Map(agents.tally(key));
    counts.delete("");
    // Every status can be asked for. And what is chosen stays so, even when there is none of it any more.
    const values = key === "status" ? STATUSES : [...counts.keys()];
    const chosen = select.value;
    if (chosen !== "" && !values.includes(chosen)) values.push(chosen);
    const texts = values.map((value) => [value, `${value} (${number(counts.get(value) ?? 0)})`]);
    const options = [["", { status: "Status", runtime: "Runtime", namespace: "Namespace" }[key]], ...texts];
    options.forEach(([value, text], index) => {
      const option = select.options[index] ?? select.appendChild(make("option"));
      option.value = value;
      put(option, text);
    });
    while (select.options.length > options.length) select.lastChild.remove();
    select.value = chosen;
  }
}

/** Shows what search and filters leave, in the view that is looked at. */
function refresh() {
  const chosen = Object.entries(choices).map(([key, select]) => [key, select.value]);
  filter = new Filter({ text: search.value, ...Object.fromEntries(chosen) });
  const found = agents.found(filter, table.sort);
  at("main").hidden = false;
  at("views").hidden = false;
  at("counts").hidden = false;
  loaded = true;
  table.show(found);
  map.show(found, view === "map");
  feed.narrow(filter);
  showCounts();
  at("empty").hidden = agents.size > 0;
  at("nothing").hidden = agents.size === 0 || found.length > 0;
  at("main").classList.toggle("bare", agents.size === 0);
  at("main").classList.toggle("barren", found.length === 0);
  at("clear").disabled = filter.isEmpty;
  put(
    at("found"),
    filter.isEmpty ? count(agents.size, "agent") : `${number(found.length)} of ${count(agents.size, "agent")}`,
  );
  const unreachable = new Map(agents.tally("status")).get("unreachable") ?? 0;
  document.title = unreachable > 0 ? `meshd: ${number(unreachable)} unreachable` : "meshd";
}

// -- where one is ----------------------------------------------------------------
function go(hash) {
  cameFromHere = hash.startsWith("#agent=");
  location.hash = hash;
}

function route() {
  if (isOffered()) {
    enter();
    return;
  }
  const agent = /^#agent=(.+)$/u.exec(location.hash)?.[1];
  if (agent !== undefined) {
    story.open(decoded(agent));
    return;
  }
  story.close();
  view = VIEWS.find((name) => location.hash === `#${name}`) ?? "table";
  at("main").dataset.view = view;
  for (const link of at("views").children) {
    attribute(link, "aria-current", link.getAttribute("href") === `#${view}` ? "page" : null);
  }
  if (loaded) refresh();
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function leaveStory() {
  if (cameFromHere) history.back();
  else {
    history.replaceState(null, "", `#${view}`);
    route();
  }
  cameFromHere = false;
}

// -- hands -------------------------------------------------------------------------
function clear() {
  search.value = "";
  for (const select of Object.values(choices)) select.value = "";
  refresh();
}

function key(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || story.dialog.open) return;
  const typing = event.target.closest("input, select, textarea");
  if (event.key === "Escape" && event.target === search) {
    if (search.value === "") table.grid.focus();
    search.value = "";
    refresh();
  } else if ((event.key === "Enter" || event.key === "ArrowDown") && event.target === search) {
    // What was typed last may not have been looked for yet.
    refresh();
    table.grid.focus();
    table.move(1);
  } else if (event.key === "/" && typing === null) {
    search.focus();
    search.select();
  } else if ((event.key === "j" || event.key === "k") && typing === null && view !== "map") {
    table.grid.focus();
    table.move(event.key === "j" ? 1 : -1);
  } else return;
  event.preventDefault();
}

let searching = 0;
search.addEventListener("input", () => {
  // Whoever types fast does not wait for each letter.
  cancelAnimationFrame(searching);
  searching = requestAnimationFrame(refresh);
});
for (const select of Object.values(choices)) select.addEventListener("change", refresh);
at("tools").addEventListener("submit", (event) => event.preventDefault());
at("tools").addEventListener("reset", (event) => {
  event.preventDefault();
  clear();
});
at("clear-too").addEventListener("click", clear);
at("skip").addEventListener("click", () => table.grid.focus());
// A link to a story that is followed here can be left with "back" as well.
document.addEventListener("click", (event) => {
  if (event.target.closest('a[href^="#agent="]')) cameFromHere = true;
});
document.addEventListener("keydown", key);
window.addEventListener("hashchange", route);
setInterval(() => {
  table.tick();
  tickAges();
}, 1000);

showConnection("connecting");
enter();
