// Keeps what the page knows true to the daemon: events say what may have changed, and it is asked how it is now. So an
// event that comes twice, late or out of order changes nothing.

import { MOST_EVENTS } from "./feed.js";
import { EventStream } from "./events.js";
import { NoSession, Refused, get } from "./session.js";

// Events within this time are answered by one look. Short enough that nobody sees it.
const FLUSH_MS = 100;

// From this many different agents on, one list is cheaper than a request for each.
const MOST_SINGLE = 50;

// The list of ten thousand agents is megabytes: in a storm of events once a second is often enough.
const LIST_EVERY_MS = 1000;

// Counts, roots, problems and sweeps: at most this often when something happens, and this often when nothing does, because
// an agent that is not heard of goes from active to inactive without an event.
const FACTS_EVERY_MS = 1000;
const IDLE_EVERY_MS = 30000;

// When an agent was last heard of changes without an event too, and shows only in the list.
const OLD_LIST_MS = 300000;

// How long to wait after something went wrong other than the connection, which the stream looks after.
const RETRY_MS = 2000;

/**
 * `agents` is kept true. `changed` is called with the ids that were touched after it changed, `facts` with what else the
 * daemon says, `happened` with events and whether they are of the past, `forgotten` when the past is gone, `state` with
 * how the connection is, `ended` with the NoSession that a person must mend.
 */
export class Follower {
  #touched = new Map();
  #all = true;
  #facts = true;
  #past = 0;
  #live = false;
  #loaded = false;
  #timer = null;
  #running = false;
  #listedAt = -Infinity;
  #listTook = 0;
  #factsAt = -Infinity;

  constructor({ agents, changed, facts, happened, forgotten, state, ended }) {
    Object.assign(this, { agents, changed, facts, happened, forgotten, state, ended });
    this.stream = new EventStream({
      told: (events) => this.#told(events),
      lost: () => this.#lost(),
      state: (state) => this.#state(state),
      ended: (error) => this.#end(error),
    });
    setInterval(() => this.#idle(), IDLE_EVERY_MS);
    document.addEventListener("visibilitychange", () => this.#looked());
    window.addEventListener("online", () => this.stream.hurry());
  }

  /** Begins, or begins again with a new session. */
  start() {
    this.#all = true;
    this.#facts = true;
    this.#live = true;
    this.#loaded = false;
    this.#plan(0);
  }

  #told(events) {
    const past = events.filter((event) => event.seq <= this.#past);
    const now = events.filter((event) => event.seq > this.#past);
    if (past.length > 0) this.happened(past);
    if (now.length === 0) return;
    this.happened(now);
    for (const { event, agentId } of now) {
      if (agentId === undefined || !event.startsWith("agent.")) continue;
      this.#touched.set(agentId, event === "agent.removed" || event === "agent.unregistered");
    }
    this.#facts = true;
    this.#plan(FLUSH_MS);
  }

  #lost() {
    this.#past = 0;
    this.#all = true;
    this.#facts = true;
    this.forgotten();
    this.#plan(FLUSH_MS);
  }

  #state(state) {
    const live = state === "live";
    // Back after a break: the events that were missed come by themselves, the counts do not.
    if (live && !this.#live) this.#facts = true;
    this.#live = live;
    this.state(state);
    if (live) this.#plan(0);
  }

  #end(error) {
    this.#live = false;
    this.#loaded = false;
    clearTimeout(this.#timer);
    this.#timer = null;
    this.ended(error);
  }

  #idle() {
    if (document.hidden || !this.#live || !this.#loaded) return;
    this.#facts = true;
    if (performance.now() - this.#listedAt > OLD_LIST_MS) this.#all = true;
    this.#plan(0);
  }

  #looked() {
    if (document.hidden) return;
    this.stream.hurry();
    if (performance.now() - this.#factsAt > IDLE_EVERY_MS) this.#idle();
  }

  #plan(ms) {
    if (this.#timer === null) this.#timer = setTimeout(() => this.#run(), ms);
  }

  async #run() {
    // The timer stays set while this runs, so that there is one run at a time and answers never overtake each other.
    try {
      await this.#look();
    } catch (error) {
      if (error instanceof NoSession) {
        this.#end(error);
        return;
      }
      this.#all = true;
      this.#facts = true;
      // Before the first look there is no stream that would say that the daemon is away.
      if (!this.#loaded) this.state("reconnecting");
      this.#timer = null;
      if (this.#live) this.#plan(RETRY_MS);
      return;
    }
    this.#timer = null;
    const wait = this.#due();
    if (wait !== null && this.#live) this.#plan(wait);
  }

  // In how many milliseconds something is to be asked; null if nothing is.
  #due() {
    const now = performance.now();
    const waits = [];
    if (this.#all || this.#touched.size > MOST_SINGLE) waits.push(this.#listedAt + Math.max(LIST_EVERY_MS, 3 * this.#listTook) - now);
    else if (this.#touched.size > 0) waits.push(FLUSH_MS);
    if (this.#facts) waits.push(this.#factsAt + FACTS_EVERY_MS - now);
    return waits.length === 0 ? null : Math.max(0, Math.min(...waits));
  }

  async #look() {
    const now = performance.now();
    const first = !this.#loaded;
    // The first time, the facts come first: their number of the last event is from before the list.
    if (first) await this.#askFacts();
    if (this.#all || this.#touched.size > MOST_SINGLE) {
      if (now >= this.#listedAt + Math.max(LIST_EVERY_MS, 3 * this.#listTook)) await this.#askList();
    } else if (this.#touched.size > 0) {
      await this.#askEach();
    }
    if (first) {
      this.#loaded = true;
      this.stream.follow(this.#past > 0 ? Math.max(0, this.#past - MOST_EVENTS) : null);
    } else if (this.#facts && performance.now() >= this.#factsAt + FACTS_EVERY_MS) {
      await this.#askFacts();
    }
  }

  async #askList() {
    const touched = [...this.#touched.keys()];
    this.#touched.clear();
    this.#all = false;
    const asked = performance.now();
    const { agents } = await get("agents");
    this.#listedAt = performance.now();
    this.#listTook = this.#listedAt - asked;
    this.agents.replace(agents);
    this.changed(touched);
  }

  async #askEach() {
    const touched = [...this.#touched];
    this.#touched.clear();
    await Promise.all(touched.map(async ([id, gone]) => {
      const agent = gone ? null : await askAgent(id);
      if (agent === null) this.agents.remove(id);
      else this.agents.put(agent);
    }));
    this.changed(touched.map(([id]) => id));
  }

  async #askFacts() {
    this.#facts = false;
    const [status, { problems }, { sweeps }] = await Promise.all([get("status"), get("problems"), get("sweeps")]);
    this.#factsAt = performance.now();
    if (!this.#loaded) this.#past = status.lastEvent ?? 0;
    this.facts({ status, problems, sweeps });
    const counted = [status.activeCount, status.inactiveCount, status.staleCount, status.unreachableCount];
    if (this.#loaded && this.#touched.size === 0 && !this.#agrees(counted)) this.#all = true;
  }

  // Whether the rows are those that the daemon counted. If not, some became old without an event.
  #agrees([active, inactive, stale, unreachable]) {
    const rows = new Map(this.agents.tally("status"));
    const counted = { active, inactive, stale, unreachable };
    return Object.entries(counted).every(([status, many]) => many === undefined || (rows.get(status) ?? 0) === many);
  }
}

async function askAgent(id) {
  try {
    return await get(`agents/${encodeURIComponent(id)}`);
  } catch (error) {
    if (error instanceof Refused && error.status === 404) return null;
    throw error;
  }
}
