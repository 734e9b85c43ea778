// How times are put for people: ages in one unit, durations as the command line puts them.

import { make, put } from "./shown.js";

const UNITS = [
  ["d", 86400],
  ["h", 3600],
  ["min", 60],
  ["s", 1],
];

// Between a number and its unit no line breaks.
const SPACE = "\u{a0}";

/** How long ago a moment is: `now`, `12 s`, `3 h`, `41 d`. A clock that is behind makes nothing older than now. */
export function ago(thenMs, nowMs) {
  if (!Number.isFinite(thenMs)) return "";
  const seconds = Math.floor((nowMs - thenMs) / 1000);
  if (seconds < 1) return "now";
  const [unit, size] = UNITS.find(([, size]) => seconds >= size);
  return `${Math.floor(seconds / size)}${SPACE}${unit}`;
}

/** The same in a sentence. */
export function agoSaid(thenMs, nowMs) {
  const age = ago(thenMs, nowMs);
  return age === "now" ? "just now" : `${age} ago`;
}

/** How long ago a moment is, as an element that grows older by `tickAges`. */
export function since(iso) {
  return make("time", { class: "since", datetime: iso, title: iso }, agoSaid(Date.parse(iso), Date.now()));
}

/** Brings all that `since` made up to now. */
export function tickAges() {
  for (const element of document.querySelectorAll("time.since"))
    put(element, agoSaid(Date.parse(element.dateTime), Date.now()));
}

/** Milliseconds for people: `0.4 ms`, `55 ms`, `1.9 s`, `2 min`. */
export function took(ms) {
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60000) return `${(ms / 1000).toFixed(1)} s`;
  return `${Math.round(ms / 60000)} min`;
}

/** The time of day of a moment, by the reader's clock: `14:03:07`. */
export function clock(iso) {
  const time = new Date(iso);
  if (Number.isNaN(time.getTime())) return "";
  return [time.getHours(), time.getMinutes(), time.getSeconds()]
    .map((part) => String(part).padStart(2, "0"))
    .join(":");
}

/** A number for people, in the reader's way of grouping digits. */
export function number(value) {
  return Number(value ?? 0).toLocaleString();
}

/** A number of things: `1 agent`, `2 agents`. */
export function count(value, thing) {
  return `${number(value)} ${thing}${value === 1 ? "" : "s"}`;
}
