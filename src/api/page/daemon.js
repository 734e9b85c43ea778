// The daemon itself: its scan roots, what it has and needs, and what it says is not as it should be.

import { foreign, make } from "./shown.js";
import { count, number, since } from "./time.js";

/** The scan roots, in `home`. */
export function showRoots(home, roots) {
  if (roots.length === 0) {
    home.replaceChildren(
      make(
        "p",
        { class: "quiet" },
        "None. Name some to ",
        make("code", {}, "meshd run"),
        " or in its configuration.",
      ),
    );
    return;
  }
  home.replaceChildren(...roots.map(rootCard));
}

/** What the daemon is and uses, in the list `home`. */
export function showDaemon(home, { daemon, missedEvents, registry }) {
  const rows = [
    ["Version", `${daemon.version}, process ${daemon.pid}`],
    ["Started", since(daemon.startedAt)],
    [
      "Watches",
      `${number(daemon.watches)} of ${number(daemon.watchesNeeded)} needed, budget ${number(daemon.watchBudget)}`,
    ],
    ["Missed events", number(missedEvents ?? daemon.missedEvents)],
    ["Relay", daemon.relay ? `${daemon.relay.backend}, ${number(daemon.relay.pending)} pending` : "none"],
    ["Registry", foreign(registry)],
  ];
  home.replaceChildren(...rows.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
}

/**
 * What is not as it should be, in the banner `home`, which is there only if there is something: the `trouble` with asking
 * the daemon, else what it says of itself.
 */
export function showBanner(home, trouble, status) {
  const wrongs = trouble !== null ? [ofTrouble(trouble)] : status !== null ? ofStatus(status) : [];
  const said = JSON.stringify(wrongs);
  // An alert is read out whenever it is written, so it is written only when it says something else.
  if (home.dataset.said === said) return;
  home.dataset.said = said;
  home.hidden = wrongs.length === 0;
  home.replaceChildren(...wrongs.map(({ what, remedy }) => make("p", {}, foreign(what), ...toDo(remedy))));
}

function ofTrouble({ state, why }) {
  if (state !== "refused") return { what: why };
  return { what: `The daemon does not say how things are: ${why}.`, remedy: "meshd doctor" };
}

function ofStatus({ ready, daemon, roots }) {
  const wrongs = [
    daemon.registryError && `The registry cannot be written: ${daemon.registryError}`,
    daemon.relay?.error && `The relay fails: ${daemon.relay.error}`,
    ...daemon.degraded,
  ]
    .filter((what) => what)
    .map((what) => ({ what }));
  for (const { path, state, why, remedy } of roots) {
    const what = `Scan root ${path} is ${state}${why ? `: ${why}` : ""}.`;
    if (state === "offline" || state === "degraded") wrongs.push({ what, remedy });
  }
  if (!ready && wrongs.length === 0) wrongs.push({ what: "Not ready yet: not every scan root is watched and swept." });
  return wrongs;
}

function toDo(remedy) {
  return remedy ? [" ", make("b", {}, "What to do: "), foreign(remedy)] : [];
}

function rootCard(root) {
  const facts = [
    count(root.agents ?? 0, "agent"),
    root.watches === null ? null : `${number(root.watches)} watched`,
    root.coldDirectories > 0 ? `${number(root.coldDirectories)} polled` : null,
    root.quietDirectories > 0 ? `${number(root.quietDirectories)} on a quiet file system` : null,
  ].filter((fact) => fact !== null);
  return make(
    "article",
    { class: "root" },
    make("h3", {}, make("span", { class: `badge ${root.state}` }, root.state), foreign(root.path, { class: "path" })),
    root.why ? make("p", {}, foreign(root.why)) : null,
    root.remedy ? make("p", {}, ...toDo(root.remedy)) : null,
    make(
      "p",
      { class: "quiet" },
      `${facts.join(" · ")} · `,
      ...(root.lastSweep ? ["swept ", since(root.lastSweep)] : ["not swept yet"]),
    ),
  );
}
