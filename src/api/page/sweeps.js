// The last sweeps as a small chart: how long each took, and which of them changed something.

import { draw, make } from "./shown.js";
import { agoSaid, count, number, took } from "./time.js";

const SLOTS = 60;
const WIDTH = 300;
const HEIGHT = 64;
// Above the bars, for the mark of a sweep that changed something.
const MARK = 10;

// What a sweep counts as a change; `problems` counts what is so, not what was done.
const CHANGES = ["discovered", "synced", "relocated", "unreachable", "resurrected", "removed"];

/** Draws the sweeps, oldest first, into `home`. */
export function showSweeps(home, sweeps) {
  if (sweeps.length === 0) {
    home.replaceChildren(make("p", { class: "quiet" }, "None yet."));
    return;
  }
  const last = sweeps.slice(-SLOTS);
  const longest = Math.max(...last.map((sweep) => sweep.tookMs));
  const said = summary(last, longest);
  const chart = draw("svg", {
    class: "chart",
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    role: "img",
    "aria-label": said,
    preserveAspectRatio: "none",
  });
  const step = WIDTH / SLOTS;
  last.forEach((sweep, index) => {
    const changed = changesOf(sweep) !== "";
    // The newest is always at the right edge. A sweep that took no time to speak of is still there.
    const x = (SLOTS - last.length + index) * step;
    const height = Math.max(2, (sweep.tookMs / longest) * (HEIGHT - MARK));
    const bar = { x: x + 0.5, y: HEIGHT - height, width: step - 1, height, class: changed ? "changed" : "idle" };
    const mark = { x: x + 0.5, y: HEIGHT - height - 6, width: step - 1, height: 3, class: "mark" };
    // A bar that is hard to hit is hovered over its whole height.
    const target = { x, y: 0, width: step, height: HEIGHT, class: "target" };
    const words = `${sweep.at}: ${took(sweep.tookMs)}, ${changesOf(sweep) || "nothing changed"}`;
    chart.append(
      draw(
        "g",
        {},
        draw("title", {}, words),
        draw("rect", target),
        draw("rect", bar),
        changed ? draw("rect", mark) : null,
      ),
    );
  });
  home.replaceChildren(
    make(
      "p",
      { class: "scale", "aria-hidden": "true" },
      `${took(longest)} at most`,
      make("span", { class: "key" }, "changed something"),
    ),
    chart,
    make("p", { class: "quiet" }, said),
  );
}

/** What a sweep did, in words; nothing if it did nothing. */
export function changesOf(sweep) {
  const parts = CHANGES.filter((key) => sweep.result?.[key] > 0).map((key) => `${number(sweep.result[key])} ${key}`);
  return parts.join(", ");
}

function summary(sweeps, longest) {
  const newest = sweeps.at(-1);
  const middle = sweeps.map((sweep) => sweep.tookMs).sort((one, other) => one - other)[Math.floor(sweeps.length / 2)];
  const changed = sweeps.filter((sweep) => changesOf(sweep) !== "").length;
  const when = agoSaid(Date.parse(newest.at), Date.now());
  const first = `The last took ${took(newest.tookMs)}, ${when}: ${changesOf(newest) || "nothing changed"}.`;
  if (sweeps.length === 1) return first;
  return (
    `${first} Of the last ${count(sweeps.length, "sweep")}, ${changed === 0 ? "none" : changed} changed something; ` +
    `half took up to ${took(middle)}, the longest ${took(longest)}.`
  );
}
