// The page: who tells whom, and where one is. Everything that it shows is asked of the daemon; it decides nothing.

import { Agents } from "./agents.js";
import { Choices } from "./choices.js";
import { showBanner, showDaemon, showRoots } from "./daemon.js";
import { Feed } from "./feed.js";
import { Follower } from "./follow.js";
import { NamespaceMap } from "./map.js";
import { showProblems } from "./problems.js";
import { begin, isOffered } from "./session.js";
import { attribute, put } from "./shown.js";
import { Story } from "./story.js";
import { showSweeps } from "./sweeps.js";
import { Table } from "./table.js";
import { count, number, tickAges } from "./time.js";

const VIEWS = ["table", "map", "events", "problems", "daemon"];

// What there is to see once there is a session and the agents are known.
const PARTS = ["main", "views", "counts"];

const CONNECTION = {
  live: "live",
  reconnecting: "reconnecting",
  refused: "refused",
  connecting: "connecting",
  closed: "no session",
};

const at = (id) => document.getElementById(id);

const agents = new Agents();
const feed = new Feed(agents);
const choices = new Choices(refresh);
const table = new Table({ open: openStory, sorted: refresh });
const map = new NamespaceMap({ open: openStory, choose: showNamespace });
const story = new Story({ closed: leaveStory, ended });
const follower = new Follower({
  agents,
  changed,
  facts: showFacts,
  happened: (events) => feed.add(events, choices.filter),
  forgotten: () => feed.clear(),
  state: showConnection,
  ended,
});

let view = "table";
let loaded = false;
let connection = "connecting";
// Why nothing comes, where a person should know; and what the daemon said of itself last.
let trouble = null;
let status = null;
// Whether the story was opened from within the page: then "back" closes it, and otherwise would leave the page.
let openedHere = false;

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
  story.close();
  loaded = false;
  status = null;
  for (const part of PARTS) at(part).hidden = true;
  at("door").hidden = false;
  put(at("door-why"), error.message);
  showConnection("closed");
}

function showConnection(state, why) {
  const isNews = state !== connection;
  connection = state;
  at("connection").dataset.state = state;
  put(at("connection"), CONNECTION[state]);
  // A daemon that is started again is back at once, and nobody need read of it; where there is nothing else to see, it is said.
  const isTold = state === "refused" || (state === "reconnecting" && !loaded);
  trouble = isTold ? { state, why } : null;
  showBanner(at("banner"), trouble, status);
  showTitle();
  if (isNews && state === "live") story.refresh();
}

// Of a page in the background one sees the title alone: it counts only what is so now.
function showTitle() {
  const unreachable = new Map(agents.tally("status")).get("unreachable") ?? 0;
  document.title = connection === "live" && unreachable > 0 ? `meshd: ${number(unreachable)} unreachable` : "meshd";
}

// -- what is shown -------------------------------------------------------------
function changed(ids) {
  loaded = true;
  for (const part of PARTS) at(part).hidden = false;
  table.mark(ids);
  choices.offer(agents);
  refresh();
  if (ids.includes(story.id)) story.refresh();
}

function showFacts({ status: told, sweeps }) {
  status = told;
  const { problems, roots } = status;
  if (agents.setProblems(problems)) refresh();
  showProblems(at("problem-list"), problems);
  showRoots(at("roots"), roots);
  showDaemon(at("daemon-facts"), status);
  showBanner(at("banner"), trouble, status);
  showSweeps(at("sweeps"), sweeps);
  at("problem-count").hidden = problems.length === 0;
  put(at("problem-count"), number(problems.length));
  put(at("problems-title"), problems.length === 0 ? "Problems" : `Problems (${number(problems.length)})`);
}

/** Shows what search and choices leave, in the view that is looked at. */
function refresh() {
  if (!loaded) return;
  const { filter } = choices;
  const found = agents.found(filter, table.sort);
  table.show(found);
  map.show(found, view === "map");
  feed.narrow(filter);
  at("empty").hidden = agents.size > 0;
  at("nothing").hidden = agents.size === 0 || found.length > 0;
  at("main").classList.toggle("bare", agents.size === 0);
  at("main").classList.toggle("barren", found.length === 0);
  const all = count(agents.size, "agent");
  put(at("found"), filter.isEmpty ? all : `${number(found.length)} of ${all}`);
  showTitle();
}

// -- where one is ----------------------------------------------------------------
function route() {
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
  refresh();
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function openStory(id) {
  location.hash = `#agent=${encodeURIComponent(id)}`;
}

function leaveStory() {
  if (openedHere) history.back();
  else {
    history.replaceState(null, "", `#${view}`);
    route();
  }
}

function showNamespace(namespace) {
  choices.choose("namespace", namespace);
  location.hash = "#table";
}

window.addEventListener("hashchange", () => {
  openedHere = true;
  if (isOffered()) enter();
  else route();
});

// -- the keyboard ------------------------------------------------------------------
function key(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || story.dialog.open) return;
  const { search } = choices;
  const isTyping = event.target.closest("input, select, textarea") !== null;
  if (event.target === search && event.key === "Escape") {
    if (search.value === "") toTheAgents();
    choices.clear();
  } else if (event.target === search && (event.key === "Enter" || event.key === "ArrowDown")) {
    // What was typed last may not have been looked for yet.
    choices.take();
    toTheAgents();
    if (view !== "map") table.move(1);
  } else if (!isTyping && event.key === "/") {
    search.focus();
    search.select();
  } else if (!isTyping && view !== "map" && (event.key === "j" || event.key === "k")) {
    toTheAgents();
    table.move(event.key === "j" ? 1 : -1);
  } else return;
  event.preventDefault();
}

function toTheAgents() {
  if (view === "map") map.focus();
  else table.grid.focus();
}

document.addEventListener("keydown", key);
at("skip").addEventListener("click", (event) => {
  event.preventDefault();
  toTheAgents();
});
setInterval(() => {
  table.tick();
  tickAges();
}, 1000);

showConnection("connecting");
enter();
