// Keeps what the page knows true to the daemon: events say what may have changed, and it is asked how it is now. So an
// event that comes twice, late or out of order changes nothing.

import { MOST_EVENTS } from "./feed.js";
import { EventStream } from "./events.js";
import { NoAnswer, NoSession, Refused, get } from "./session.js";

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

// How long to wait after an answer that did not come, where the stream does not say when the daemon is back.
const RETRY_MS = 2000;

/** Work that is done again and again and never twice at a time: what is planned meanwhile is done after it. */
class Lane {
  #timer = null;
  #dueMs = Infinity;
  #busy = false;

  constructor(work) {
    this.work = work;
  }

  plan(inMs) {
    const dueMs = performance.now() + inMs;
    if (dueMs >= this.#dueMs) return;
    this.#dueMs = dueMs;
    if (!this.#busy) this.#wait();
  }

  stop() {
    clearTimeout(this.#timer);
    this.#dueMs = Infinity;
  }

  #wait() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#run(), Math.max(0, this.#dueMs - performance.now()));
  }

  async #run() {
    this.#dueMs = Infinity;
    this.#busy = true;
    await this.work();
    this.#busy = false;
    if (this.#dueMs < Infinity) this.#wait();
  }
}

/**
 * `agents` is kept true. `changed` is called with the ids that were touched after it changed, `facts` with what else the
 * daemon says, `happened` with events, `forgotten` when the past is gone, `state` with how the connection is, `ended` with
 * the NoSession that a person must mend.
 */
export class Follower {
  // Ids of agents that may have changed, and whether the last that was heard is that they are gone.
  #touched = new Map();
  #all = true;
  // Counts sessions; answers to an earlier one come too late.
  #session = 0;
  // The number of the last event that was there before the list was.
  #past = 0;
  #loaded = false;
  #live = false;
  #listedAt = -Infinity;
  #listTook = 0;
  #factsAt = -Infinity;

  constructor({ agents, changed, facts, happened, forgotten, state, ended }) {
    Object.assign(this, { agents, changed, facts, happened, forgotten, state, ended });
    // Two lanes: what is changed on disk shows while slower questions are still being answered.
    this.agentLane = new Lane(() =>
      this.#try(
        () => this.#askAgents(),
        () => this.#lostSight(),
      ),
    );
    this.factLane = new Lane(() =>
      this.#try(
        () => this.#askFacts(),
        () => this.factLane.plan(RETRY_MS),
      ),
    );
    this.firstLane = new Lane(() =>
      this.#try(
        () => this.#begin(),
        () => this.#beginAgain(),
      ),
    );
    this.stream = new EventStream({
      told: (events) => this.#told(events),
      lost: (how) => this.#lost(how),
      state: (state) => this.#state(state),
      ended: (error) => this.#end(error),
    });
    setInterval(() => this.#idle(), IDLE_EVERY_MS);
    document.addEventListener("visibilitychange", () => this.#looked());
    window.addEventListener("online", () => this.stream.hurry());
  }

  /** Begins, or begins again with a new session. */
  start() {
    this.#end(null);
    this.firstLane.plan(0);
  }

  async #begin() {
    // The facts first: their number of the last event is from before the list, so no event falls between the two.
    await this.#askFacts();
    await this.#askList();
    this.#loaded = true;
    // A little of the past, to see what led here.
    this.stream.follow(this.#past > 0 ? Math.max(0, this.#past - MOST_EVENTS) : null);
  }

  #beginAgain() {
    this.state("reconnecting");
    this.firstLane.plan(RETRY_MS);
  }

  #end(error) {
    this.#session += 1;
    for (const lane of [this.firstLane, this.agentLane, this.factLane]) lane.stop();
    this.stream.stop();
    this.#loaded = false;
    this.#live = false;
    this.#all = true;
    this.#touched.clear();
    if (error !== null) this.ended(error);
  }

  async #try(work, failed) {
    const session = this.#session;
    try {
      await work();
    } catch (error) {
      if (session !== this.#session) return;
      if (error instanceof NoSession) {
        this.#end(error);
        return;
      }
      // Anything else is a mistake in here, and is not hidden by trying again.
      if (!(error instanceof NoAnswer || error instanceof Refused)) reportError(error);
      failed();
    }
  }

  // Fails if the session ended meanwhile, so that nothing of it is shown any more.
  async #get(path) {
    const session = this.#session;
    const answer = await get(path);
    if (session !== this.#session) throw new NoAnswer("That was asked in a session that is over.");
    return answer;
  }

  #told(events) {
    this.happened(events);
    const now = events.filter((event) => event.seq > this.#past);
    for (const { event, agentId } of now) {
      if (agentId === undefined || !event.startsWith("agent.")) continue;
      this.#touched.set(agentId, event === "agent.removed" || event === "agent.unregistered");
    }
    if (this.#touched.size > 0) this.agentLane.plan(this.#patience());
    if (now.length > 0) this.factLane.plan(Math.max(FLUSH_MS, this.#factsAt + FACTS_EVERY_MS - performance.now()));
  }

  #lost({ isAnother }) {
    // A registry that was built anew: what was told before is not of this one.
    if (isAnother) {
      this.#past = 0;
      this.forgotten();
    }
    this.#all = true;
    this.agentLane.plan(FLUSH_MS);
    this.factLane.plan(FLUSH_MS);
  }

  #lostSight() {
    this.#all = true;
    if (this.#live) this.agentLane.plan(RETRY_MS);
  }

  #state(state) {
    this.#live = state === "live";
    this.state(state);
    if (!this.#live) return;
    // Back after a break: the events that were missed come by themselves, the counts do not.
    this.factLane.plan(0);
    if (this.#all) this.agentLane.plan(0);
  }

  #idle() {
    if (document.hidden || !this.#live) return;
    this.factLane.plan(0);
    if (performance.now() - this.#listedAt > OLD_LIST_MS) this.#wantAll();
  }

  #looked() {
    if (document.hidden) return;
    this.stream.hurry();
    if (performance.now() - this.#factsAt > IDLE_EVERY_MS) this.#idle();
  }

  #wantAll() {
    this.#all = true;
    this.agentLane.plan(this.#patience());
  }

  get #wantsList() {
    return this.#all || this.#touched.size > MOST_SINGLE;
  }

  // How long what is wanted can wait: a list no sooner than a while after the last, which took what it took.
  #patience() {
    const listMs = this.#listedAt + Math.max(LIST_EVERY_MS, 3 * this.#listTook) - performance.now();
    return this.#wantsList ? Math.max(FLUSH_MS, listMs) : FLUSH_MS;
  }

  async #askAgents() {
    if (!this.#wantsList) await this.#askEach();
    // It was planned as a few, and became many since.
    else if (this.#patience() > FLUSH_MS) this.agentLane.plan(this.#patience());
    else await this.#askList();
    if (this.#touched.size > 0) this.agentLane.plan(this.#patience());
  }

  async #askList() {
    const touched = [...this.#touched.keys()];
    this.#touched.clear();
    this.#all = false;
    const asked = performance.now();
    const { agents } = await this.#get("agents");
    this.#listedAt = performance.now();
    this.#listTook = this.#listedAt - asked;
    this.agents.replace(agents);
    this.changed(touched);
  }

  async #askEach() {
    const touched = [...this.#touched];
    this.#touched.clear();
    await Promise.all(
      touched.map(async ([id, gone]) => {
        const agent = gone ? null : await this.#getAgent(id);
        if (agent === null) this.agents.remove(id);
        else this.agents.put(agent);
      }),
    );
    this.changed(touched.map(([id]) => id));
  }

  async #askFacts() {
    const [status, { problems }, { sweeps }] = await Promise.all(
      ["status", "problems", "sweeps"].map((path) => this.#get(path)),
    );
    this.#factsAt = performance.now();
    if (!this.#loaded) this.#past = status.lastEvent ?? 0;
    this.facts({ status, problems, sweeps });
    if (this.#loaded && this.#touched.size === 0 && !this.#agrees(status)) this.#wantAll();
  }

  // Whether the rows are those that the daemon counted. If not, some became old without an event.
  #agrees({ activeCount, inactiveCount, staleCount, unreachableCount }) {
    const rows = new Map(this.agents.tally("status"));
    const counted = {
      active: activeCount,
      inactive: inactiveCount,
      stale: staleCount,
      unreachable: unreachableCount,
    };
    return Object.entries(counted).every(([status, many]) => (rows.get(status) ?? 0) === many);
  }

  // Null if there is none any more.
  async #getAgent(id) {
    try {
      return await this.#get(`agents/${encodeURIComponent(id)}`);
    } catch (error) {
      if (error instanceof Refused && error.status === 404) return null;
      throw error;
    }
  }
}
