// The session: a code out of the link that `meshd open` prints, exchanged for a token that every request carries.
//
// The token lives as long as the tab, and no longer than the daemon knows it. It is sent as a header: there is no cookie,
// so no other site can make the browser send it.

const TOKEN = "meshd-token";

/** There is no session, or no longer: only a person can begin one. */
export class NoSession extends Error {}

/** The daemon answered, and not with what was asked for. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** Takes a code out of the address, if there is one, and exchanges it. Fails with NoSession if there is no token then. */
export async function begin() {
  const code = /^#code=([^&]+)$/u.exec(location.hash)?.[1];
  if (code !== undefined) {
    // Out of the address at once: it is of no use any more, and not for the history or a bookmark.
    history.replaceState(null, "", location.pathname);
    const response = await fetch("/api/mesh/session", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ code: decodeURIComponent(code) }),
    });
    if (response.ok) sessionStorage.setItem(TOKEN, (await response.json()).token);
    else if (response.status === 401) sessionStorage.removeItem(TOKEN);
    if (!response.ok)
      throw new NoSession(await problemOf(response, "That link was used before, or is older than a minute."));
  }
  if (sessionStorage.getItem(TOKEN) === null) throw new NoSession("This tab has none yet.");
}

/** Whether the address carries a code. */
export function isOffered() {
  return location.hash.startsWith("#code=");
}

/** A request with the token. Fails with NoSession if the daemon does not know it. */
export async function request(path, options = {}) {
  const token = sessionStorage.getItem(TOKEN);
  if (token === null) throw new NoSession("This tab has none yet.");
  const headers = { ...options.headers, Authorization: `Bearer ${token}` };
  const response = await fetch(path, { ...options, headers, cache: "no-store" });
  if (response.status === 401) {
    // Another request may have begun a new session meanwhile; only the token that was refused is dropped.
    if (sessionStorage.getItem(TOKEN) === token) sessionStorage.removeItem(TOKEN);
    throw new NoSession("The daemon no longer knows this tab's session.");
  }
  if (!response.ok)
    throw new Refused(response.status, await problemOf(response, `The daemon answered ${response.status}.`));
  return response;
}

/** The JSON that the daemon answers to a GET below /api/mesh/. */
export async function get(path) {
  return (await request(`/api/mesh/${path}`)).json();
}

async function problemOf(response, otherwise) {
  if (response.status === 401) return otherwise;
  try {
    const problem = await response.json();
    return problem.detail || problem.title || otherwise;
  } catch {
    return otherwise;
  }
}
