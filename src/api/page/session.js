// The session: a code out of the link that `meshd open` prints, exchanged for a token that every request carries.
//
// The token lives as long as the tab, and no longer than the daemon knows it. It is sent as a header: there is no cookie,
// so no other site can make the browser send it.

const TOKEN = "meshd-token";

// The daemon answers within milliseconds. One that takes so long hangs, or the browser has no connection left to ask it.
const ANSWER_WITHIN_MS = 10000;

/** There is no session, or no longer: only a person can begin one. */
export class NoSession extends Error {}

/** The daemon answered, and not with what was asked for. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** The daemon did not answer, or not to the end: it is asked again. */
export class NoAnswer extends Error {}

/** Whether the address carries a code. */
export function isOffered() {
  return location.hash.startsWith("#code=");
}

/** Takes a code out of the address, if there is one, and exchanges it. Fails with NoSession if there is no token then. */
export async function begin() {
  let why = "This tab has none yet.";
  if (isOffered()) {
    const code = location.hash.slice("#code=".length);
    // Out of the address at once: it is of no use any more, and not for the history or a bookmark.
    history.replaceState(null, "", location.pathname);
    const headers = { "Content-Type": "application/json" };
    const signal = AbortSignal.timeout(ANSWER_WITHIN_MS);
    const response = await answered(
      fetch("/api/mesh/session", { method: "POST", headers, body: JSON.stringify({ code }), signal }),
    );
    if (response.ok) sessionStorage.setItem(TOKEN, (await answered(response.json())).token);
    else if (response.status === 401) why = "That link was used before, or is older than a minute.";
    else why = await problemOf(response);
  }
  // A link that was followed twice ends no session that it began.
  if (sessionStorage.getItem(TOKEN) === null) throw new NoSession(why);
}

/**
 * A request with the token. Fails with NoSession if the daemon does not know it. Its answer, to the end, has a deadline:
 * the signal that is given, or the usual one.
 */
export async function request(path, { signal = AbortSignal.timeout(ANSWER_WITHIN_MS), ...options } = {}) {
  const token = sessionStorage.getItem(TOKEN);
  if (token === null) throw new NoSession("This tab has none yet.");
  const headers = { ...options.headers, Authorization: `Bearer ${token}` };
  const response = await answered(fetch(path, { ...options, headers, signal, cache: "no-store" }));
  if (response.ok) return response;
  if (response.status !== 401) throw new Refused(response.status, await problemOf(response));
  // Only the token that was refused is dropped: a new session may have begun meanwhile.
  if (sessionStorage.getItem(TOKEN) !== token) throw new Refused(401, "That was asked in a session that is over.");
  sessionStorage.removeItem(TOKEN);
  throw new NoSession("The daemon no longer knows this tab’s session.");
}

/** The JSON that the daemon answers to a GET below /api/mesh/, within so many milliseconds. */
export async function get(path, withinMs = ANSWER_WITHIN_MS) {
  const response = await request(`/api/mesh/${path}`, { signal: AbortSignal.timeout(withinMs) });
  return answered(response.json());
}

/** What the network brings; NoAnswer if it does not. */
export async function answered(promise) {
  try {
    return await promise;
  } catch {
    throw new NoAnswer("The daemon does not answer.");
  }
}

async function problemOf(response) {
  try {
    const problem = await response.json();
    return problem.detail || problem.title;
  } catch {
    return `The daemon answered ${response.status}.`;
  }
}
