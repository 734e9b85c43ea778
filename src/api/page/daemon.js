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

/** What is not as it should be, in the banner `home`, which is there only if there is something. */
export function showBanner(home, { ready, daemon, roots }) {
  const sentences = [
    daemon.registryError && `The registry cannot be written: ${daemon.registryError}`,
    daemon.relay?.error && `The relay fails: ${daemon.relay.error}`,
    ...(daemon.degraded ?? []),
    ...roots
      .filter((root) => root.state === "offline")
      .map((root) => `Scan root ${root.path} is offline${root.why ? `: ${root.why}` : ""}.`),
  ].filter((sentence) => sentence);
  if (!ready && sentences.length === 0) sentences.push("Not ready yet: not every scan root is watched and swept.");
  const said = sentences.join("\n");
  // An alert is read out whenever it is written, so it is written only when it says something else.
  if (home.dataset.said === said) return;
  home.dataset.said = said;
  home.hidden = sentences.length === 0;
  home.replaceChildren(...sentences.map((sentence) => make("p", {}, foreign(sentence))));
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
    make(
      "p",
      { class: "quiet" },
      `${facts.join(" · ")} · `,
      ...(root.lastSweep ? ["swept ", since(root.lastSweep)] : ["not swept yet"]),
    ),
  );
}
