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

// Counts, roots, problems and sweeps: at most this often when something happens, and this often when nothing does. An agent
// that is not heard of goes from active to inactive without an event, and a daemon that hangs says nothing at all.
const FACTS_EVERY_MS = 1000;
const IDLE_EVERY_MS = 6000;

// The facts come in milliseconds. A daemon that hangs is believed for this and the time between two questions: ten seconds.
const FACTS_WITHIN_MS = 4000;

// The list of ten thousand agents takes a fraction of a second, and longer through a narrow tunnel.
const LIST_WITHIN_MS = 60000;

// When an agent was last heard of changes without an event too, and shows only in the list.
const OLD_LIST_MS = 300000;

// How long to wait after an answer that did not come, where the stream does not say when the daemon is back.
const RETRY_MS = 2000;

// A browser has six connections to one address for all its tabs, and following holds one. So a page that nobody looked at for
// so long follows no more, until somebody does.
const REST_AFTER_MS = 30000;

/** Work that is done again and again and never twice at a time: what is planned meanwhile is done after it. */
class Lane {
  #timer = null;
  #dueMs = Infinity;
  #busy = false;

  constructor(work) {
    this.work = work;
  }

  /** Whether nothing is being done or planned. */
  get isIdle() {
    return !this.#busy && this.#dueMs === Infinity;
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
 * daemon says, `happened` with events, `forgotten` when the past is gone, `ended` with the NoSession that a person must mend.
 * `state` is called with `connecting`, with `live`, or with `refused` or `reconnecting` and why.
 */
export class Follower {
  // Ids of agents that may have changed, and whether the last that was heard is that they are gone.
  #touched = new Map();
  #all = true;
  // Counts times at which something was told.
  #news = 0;
  // Counts sessions; answers to an earlier one come too late.
  #session = 0;
  // The number of the last event that was there before the list was.
  #past = 0;
  #loaded = false;
  // What does not come at the moment (`stream`, `facts`, `agents`, or the `first` of them) and the error that says why. Only
  // where nothing is missing is the page live.
  #missing = new Map();
  #isOpen = false;
  #isResting = false;
  #restTimer = null;
  #listedAt = -Infinity;
  #listTook = 0;
  #factsAt = -Infinity;
  // The last sweeps, and when the last of them was.
  #sweeps = [];
  #sweptAt = null;

  constructor({ agents, changed, facts, happened, forgotten, state, ended }) {
    Object.assign(this, { agents, changed, facts, happened, forgotten, state, ended });
    // Two lanes: what is changed on disk shows while slower questions are still being answered.
    this.agentLane = new Lane(() => this.#try("agents", () => this.#askAgents(), () => this.#lostSight()));
    this.factLane = new Lane(() => this.#try("facts", () => this.#askFacts(), () => this.#again(this.factLane)));
    this.firstLane = new Lane(() => this.#try("first", () => this.#begin(), () => this.#again(this.firstLane)));
    this.stream = new EventStream({
      told: (events) => this.#told(events),
      lost: (how) => this.#lost(how),
      live: () => this.#connected(),
      broken: (why) => this.#misses("stream", why),
      ended: (error) => this.#end(error),
    });
    document.addEventListener("visibilitychange", () => this.#looked());
    window.addEventListener("online", () => this.stream.hurry());
  }

  /** Begins, or begins again with a new session. */
  start() {
    this.#end(null);
    this.#isOpen = true;
    this.forgotten();
    this.state("connecting");
    // What is opened in the background begins when somebody looks at it.
    this.#isResting = document.hidden;
    if (!this.#isResting) this.firstLane.plan(0);
  }

  async #begin() {
    // The facts first: their number of the last event is from before the list, so no event falls between the two.
    const { lastEvent } = await this.#askFacts();
    this.#past = lastEvent ?? 0;
    await this.#askList();
    this.#loaded = true;
    this.#comes("first");
    // A little of the past, to see what led here.
    this.stream.follow(Math.max(0, this.#past - MOST_EVENTS));
  }

  #end(error) {
    this.#session += 1;
    this.#stop();
    clearTimeout(this.#restTimer);
    this.#isOpen = false;
    this.#loaded = false;
    this.#all = true;
    this.#touched.clear();
    // Not connected yet, which is no reason that anybody must be told.
    this.#missing = new Map([["stream", new NoAnswer("The daemon is asked.")]]);
    if (error !== null) this.ended(error);
  }

  #stop() {
    for (const lane of [this.firstLane, this.agentLane, this.factLane]) lane.stop();
    this.stream.stop();
  }

  #again(lane) {
    if (!this.#isResting) lane.plan(RETRY_MS);
  }

  async #try(what, work, failed) {
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
      // Who does not answer does not tell either, whatever the connection looks like.
      if (error instanceof NoAnswer && !this.#missing.has("stream")) this.stream.doubt();
      this.#misses(what, error);
      failed();
    }
  }

  // Fails if the session ended meanwhile, so that nothing of it is shown any more.
  async #get(path, withinMs) {
    const session = this.#session;
    const answer = await get(path, withinMs);
    if (session !== this.#session) throw new NoAnswer("That was asked in a session that is over.");
    return answer;
  }

  #misses(what, error) {
    this.#missing.set(what, error);
    this.#say();
  }

  #comes(what) {
    if (this.#missing.delete(what)) this.#say();
  }

  #say() {
    const errors = [...this.#missing.values()];
    const refusal = errors.find((error) => error instanceof Refused);
    if (refusal !== undefined) this.state("refused", refusal.message);
    else if (errors.length > 0) this.state("reconnecting", errors.at(-1).message);
    else this.state("live");
  }

  #told(events) {
    this.happened(events);
    const now = events.filter((event) => event.seq > this.#past);
    for (const { event, agentId } of now) {
      if (agentId === undefined || !event.startsWith("agent.")) continue;
      this.#touched.set(agentId, event === "agent.removed" || event === "agent.unregistered");
    }
    if (this.#touched.size > 0) this.agentLane.plan(this.#patience());
    if (now.length === 0) return;
    this.#news += 1;
    // What the banner says is to be true at once, and which agents a relay reaches is told of none of them.
    const isOf = (part) => now.some(({ event }) => event.startsWith(part));
    if (isOf("relay.")) this.#wantAll();
    const isUrgent = isOf("relay.") || isOf("root.");
    this.factLane.plan(isUrgent ? FLUSH_MS : Math.max(FLUSH_MS, this.#factsAt + FACTS_EVERY_MS - performance.now()));
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
    this.#again(this.agentLane);
  }

  #connected() {
    this.#comes("stream");
    // Back after a break: the events that were missed come by themselves, the counts do not. What is missing is being asked
    // for anyway.
    if (!this.#missing.has("facts")) this.factLane.plan(0);
    if (!this.#missing.has("agents") && (this.#all || this.#touched.size > 0)) this.agentLane.plan(0);
  }

  #looked() {
    clearTimeout(this.#restTimer);
    if (!this.#isOpen) return;
    if (document.hidden) this.#restTimer = setTimeout(() => this.#rest(), REST_AFTER_MS);
    else if (this.#isResting) this.#goOn();
    else if (this.#loaded) {
      this.stream.hurry();
      this.factLane.plan(0);
    }
  }

  #rest() {
    this.#isResting = true;
    // What has not begun begins anew.
    if (!this.#loaded) this.#session += 1;
    this.#stop();
    this.#misses("stream", new NoAnswer("Nobody looks at the page."));
  }

  #goOn() {
    this.#isResting = false;
    if (!this.#loaded) {
      this.#missing = new Map([["stream", new NoAnswer("The daemon is asked.")]]);
      this.state("connecting");
      this.firstLane.plan(0);
      return;
    }
    this.stream.follow(this.stream.after);
    this.factLane.plan(0);
    if (this.#all || this.#touched.size > 0) this.agentLane.plan(0);
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
    const { agents } = await this.#get("agents", LIST_WITHIN_MS);
    this.#listedAt = performance.now();
    this.#listTook = this.#listedAt - asked;
    this.agents.replace(agents);
    this.changed(touched);
    // After one that did not come it is always the list that is asked for.
    this.#comes("agents");
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
    const news = this.#news;
    const status = await this.#get("status", FACTS_WITHIN_MS);
    const sweptAt = status.lastSweep?.at ?? null;
    if (sweptAt !== this.#sweptAt) {
      this.#sweeps = (await this.#get("sweeps", FACTS_WITHIN_MS)).sweeps;
      this.#sweptAt = sweptAt;
    }
    this.#factsAt = performance.now();
    this.facts({ status, sweeps: this.#sweeps });
    this.#comes("facts");
    // If something happened meanwhile they were counted before it, and are being asked for again.
    if (this.#loaded && news === this.#news) this.#compare(status);
    if (!this.#isResting) this.factLane.plan(IDLE_EVERY_MS);
    return status;
  }

  // Some rows become old without an event: by themselves, or because the relay reached an agent.
  #compare(status) {
    const isOld = performance.now() - this.#listedAt > OLD_LIST_MS;
    // Rows that are being asked for are not those that were counted.
    if (isOld || (this.agentLane.isIdle && !this.#agrees(status))) this.#wantAll();
    // Agents that are not there are not registered at the relay, and not waited for.
    const { relay } = status.daemon;
    // A relay that fails tells of nobody whom it reaches.
    if (relay?.error) return;
    const pending = this.agents.pending();
    if (pending.length <= (relay?.pending ?? 0)) return;
    for (const id of pending) this.#touched.set(id, false);
    this.agentLane.plan(this.#patience());
  }

  // Whether the rows are those that the daemon counted.
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
