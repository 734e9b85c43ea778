// What is wanted of the agents: the search, a choice of status, runtime and namespace, and the counts at the top, which
// choose a status too.

import { Filter, STATUSES } from "./agents.js";
import { attribute, make, put, shape } from "./shown.js";
import { number } from "./time.js";

// How a choice is called while nothing is chosen.
const TITLES = { status: "Status", runtime: "Runtime", namespace: "Namespace" };

export class Choices {
  #filter = new Filter();
  #typing = 0;

  /** `changed` is called when a person wants something else. */
  constructor(changed) {
    this.changed = changed;
    this.search = document.getElementById("search");
    this.clearing = document.getElementById("clear");
    this.counts = document.getElementById("counts");
    this.selects = Object.keys(TITLES).map((key) => [key, document.getElementById(`filter-${key}`)]);
    this.chips = ["", ...STATUSES].map((status) => this.#makeChip(status));
    this.search.addEventListener("input", () => {
      // Whoever types fast does not wait for each letter.
      cancelAnimationFrame(this.#typing);
      this.#typing = requestAnimationFrame(() => this.take());
    });
    for (const [, select] of this.selects) select.addEventListener("change", () => this.take());
    const tools = document.getElementById("tools");
    tools.addEventListener("submit", (event) => event.preventDefault());
    tools.addEventListener("reset", (event) => {
      event.preventDefault();
      this.clear();
    });
    document.getElementById("clear-too").addEventListener("click", () => this.clear());
  }

  /** What must match. */
  get filter() {
    return this.#filter;
  }

  /** Takes what is written and chosen now. */
  take() {
    const chosen = Object.fromEntries(this.selects.map(([key, select]) => [key, select.value]));
    this.#filter = new Filter({ text: this.search.value, ...chosen });
    this.clearing.disabled = this.#filter.isEmpty;
    for (const { status, chip } of this.chips)
      attribute(chip, "aria-pressed", String(this.#filter.status === status));
    this.changed();
  }

  /** Chooses one value of one key. */
  choose(key, value) {
    this.selects.find(([name]) => name === key)[1].value = value;
    this.take();
  }

  clear() {
    this.search.value = "";
    for (const [, select] of this.selects) select.value = "";
    this.take();
  }

  /** Shows what there is to choose from. */
  offer(agents) {
    for (const [key, select] of this.selects) {
      const counts = new Map(agents.tally(key));
      if (key === "status") this.#count(counts, agents.size);
      counts.delete("");
      // Every status can be asked for. And what is chosen stays so, even when there is none of it any more.
      const chosen = select.value;
      const values = key === "status" ? [...STATUSES] : [...counts.keys()];
      if (chosen !== "" && !values.includes(chosen)) values.push(chosen);
      const texts = values.map((value) => [value, `${value} (${number(counts.get(value) ?? 0)})`]);
      [["", TITLES[key]], ...texts].forEach(([value, text], index) => {
        const option = select.options[index] ?? select.appendChild(make("option"));
        option.value = value;
        put(option, text);
      });
      while (select.options.length > texts.length + 1) select.lastChild.remove();
      select.value = chosen;
    }
  }

  #makeChip(status) {
    const count = make("b");
    const form = status === "" ? null : shape(status);
    const word = make("span", {}, status || "agents");
    const chip = make(
      "button",
      { type: "button", class: `chip ${status}`, "aria-pressed": String(status === "") },
      form,
      count,
      word,
    );
    // Pressed again, it lets go.
    chip.addEventListener("click", () => this.choose("status", this.#filter.status === status ? "" : status));
    this.counts.append(chip);
    return { status, chip, count };
  }

  #count(counts, all) {
    for (const { status, count } of this.chips) put(count, number(status === "" ? all : (counts.get(status) ?? 0)));
  }
}
