// The event stream: read with fetch, because EventSource cannot send the token. It is followed for as long as the page is
// there: after a break from the last event that was seen, so that none is missed.

import { NoAnswer, NoSession, Refused, answered, request } from "./session.js";

// A daemon that restarts is back within a second or two; one that stays away is asked every ten seconds, which costs
// neither side anything.
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10000;

// How long it may take until it begins to say something.
const BEGIN_WITHIN_MS = 10000;

// The daemon says something every 15 s. After twice that and a little the connection is dead, whatever the system says.
const SILENCE_MS = 35000;

/** Makes events of text that comes in pieces of any size. */
export class EventParser {
  #rest = "";
  #id = null;
  #name = "";
  #data = [];

  /** The events that this piece completes. */
  push(text) {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop();
    return lines.map((line) => this.#line(line)).filter((event) => event !== null);
  }

  #line(line) {
    if (line === "") return this.#complete();
    const colon = line.indexOf(":");
    // A line that begins with a colon is a comment: a sign of life.
    if (colon === 0) return null;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + (line[colon + 1] === " " ? 2 : 1));
    if (field === "id") this.#id = value;
    else if (field === "event") this.#name = value;
    else if (field === "data") this.#data.push(value);
    return null;
  }

  #complete() {
    if (this.#name === "" && this.#data.length === 0) return null;
    const event = { id: this.#id, name: this.#name || "message", data: this.#data.join("\n") };
    this.#name = "";
    this.#data = [];
    return event;
  }
}

/**
 * Follows the stream. `told` gets the events of one piece, `lost` is called when some are missing, with whether they count
 * anew, `live` when it is connected, `broken` with why it is not, and `ended` with the NoSession that a person must mend.
 */
export class EventStream {
  #after = 0;
  // The one that follows now: one that was told to stop and still waits for an answer does nothing with it.
  #current = null;
  // The connection of that one.
  #connection = null;
  #wake = null;

  constructor({ told, lost, live, broken, ended }) {
    Object.assign(this, { told, lost, live, broken, ended });
  }

  /** The number of the last event that was seen. */
  get after() {
    return this.#after;
  }

  /** Begins after the event with this number. */
  async follow(after) {
    this.stop();
    const mine = new AbortController();
    this.#current = mine;
    this.#after = after;
    let wait = FIRST_WAIT_MS;
    for (;;) {
      let why = new NoAnswer("The daemon ended the connection.");
      try {
        await this.#read(mine, () => {
          wait = FIRST_WAIT_MS;
        });
      } catch (error) {
        if (mine !== this.#current) return;
        if (error instanceof NoSession) {
          this.ended(error);
          return;
        }
        // Anything else is a mistake in here, and is not hidden by trying again.
        if (!(error instanceof NoAnswer || error instanceof Refused)) reportError(error);
        why = error;
      }
      if (mine !== this.#current) return;
      this.broken(why);
      await this.#pause(wait);
      wait = Math.min(wait * 2, LONGEST_WAIT_MS);
    }
  }

  /** Follows no more. */
  stop() {
    this.#current?.abort();
    this.#current = null;
    this.#wake?.();
  }

  /** Tries at once, if it waits: somebody looks at the page again, or the network came back. */
  hurry() {
    this.#wake?.();
  }

  /** Gives up the connection, which seems to be dead, and makes another one. */
  doubt() {
    this.#connection?.abort();
  }

  async #read(mine, connected) {
    // A connection that died is given up, and the next one is made.
    const dead = new AbortController();
    this.#connection = dead;
    const signal = AbortSignal.any([mine.signal, dead.signal]);
    const headers = { Accept: "text/event-stream", "Last-Event-ID": String(this.#after) };
    let silence = setTimeout(() => dead.abort(), BEGIN_WITHIN_MS);
    try {
      const response = await request("/api/mesh/events", { headers, signal });
      if (mine !== this.#current) return;
      const reader = response.body.getReader();
      const decoder = new TextDecoder();
      const parser = new EventParser();
      connected();
      this.live();
      for (;;) {
        clearTimeout(silence);
        silence = setTimeout(() => dead.abort(), SILENCE_MS);
        const { done, value } = await answered(reader.read());
        if (done || mine !== this.#current) return;
        this.#tell(parser.push(decoder.decode(value, { stream: true })));
      }
    } finally {
      clearTimeout(silence);
    }
  }

  #tell(events) {
    const known = [];
    for (const event of events) {
      const before = Number(this.#after);
      if (event.id !== null && event.id !== "") this.#after = event.id;
      if (event.name === "resync") this.lost({ isAnother: Number(this.#after) < before });
      else known.push(event);
    }
    const told = known.map(readEvent).filter((event) => event !== null);
    if (told.length > 0) this.told(told);
  }

  #pause(ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    }).finally(() => {
      this.#wake = null;
    });
  }
}

function readEvent({ id, name, data }) {
  try {
    return { seq: Number(id), event: name, ...JSON.parse(data) };
  } catch {
    return null;
  }
}
