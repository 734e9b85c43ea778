// The agents as a map: a block for each namespace, in it a square for each agent, told apart by shape as well as colour.
//
// A block is one canvas: a hundred thousand elements for ten thousand agents would make every change slow. What a canvas
// does not say by itself is said beside it: the counts in text, the agent that keyboard or mouse points at as an option
// inside the canvas, and the block's name is a button that shows its agents as a table.

import { STATUSES } from "./agents.js";
import { attribute, foreign, make, put, shape } from "./shown.js";
import { count, number } from "./time.js";

const SQUARE = 12;
const STEP = 16;
// Of a block, as the style sheet has it.
const PADDING = 12;

// More blocks than this are no picture any more, and a page full of elements. The others are counted, and found by search.
const MOST_BLOCKS = 400;

// Counts blocks, so that each option has an id of its own.
let made = 0;

export class NamespaceMap {
  #blocks = new Map();
  #visible = false;

  /** `open` is told the id of an agent, `choose` the namespace whose agents are wanted as a table. */
  constructor({ open, choose }) {
    this.home = document.getElementById("blocks");
    this.pointed = document.getElementById("pointed");
    this.rest = make("p", { class: "rest" });
    Object.assign(this, { open, choose });
    document.getElementById("legend").append(...STATUSES.map((status) => make("span", {}, shape(status), status)));
    new ResizeObserver(() => this.#drawAll()).observe(this.home);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#drawAll());
  }

  /** Shows these agents, if the map is what is looked at. */
  show(list, visible) {
    const before = this.#visible;
    this.#visible = visible;
    if (!visible) return;
    const groups = new Map();
    for (const row of list) {
      if (!groups.has(row.namespace)) groups.set(row.namespace, []);
      groups.get(row.namespace).push(row);
    }
    const names = [...groups.keys()].sort().slice(0, MOST_BLOCKS);
    const blocks = new Map(names.map((name) => [name, this.#blocks.get(name) ?? this.#makeBlock(name)]));
    for (const [name, block] of this.#blocks) if (!blocks.has(name)) block.element.remove();
    this.#blocks = blocks;
    const changed = [];
    names.forEach((name, index) => {
      const block = blocks.get(name);
      if (this.home.children[index] !== block.element)
        this.home.insertBefore(block.element, this.home.children[index] ?? null);
      if (this.#set(block, groups.get(name).sort(byNameAndId)) || !before) changed.push(block);
    });
    put(
      this.rest,
      groups.size > names.length
        ? `${count(groups.size - names.length, "namespace")} more: search, or choose one above.`
        : "",
    );
    if (this.home.lastChild !== this.rest) this.home.append(this.rest);
    this.#lay(changed);
  }

  /** Gives the keyboard to the first block. */
  focus() {
    this.home.querySelector("canvas")?.focus();
  }

  #makeBlock(name) {
    const title = make(
      "button",
      { type: "button", title: `${name}: show its agents as a table` },
      foreign(name || "(none)"),
    );
    const total = make("span", { class: "total" });
    const counts = make("p", { class: "by-status" });
    const option = make("div", { role: "option", id: `square-${(made += 1)}`, "aria-selected": "true" });
    const canvas = make("canvas", { tabindex: "0", role: "listbox", "aria-label": `Agents of ${name}` }, option);
    const element = make("section", { class: "block" }, make("h3", {}, title, total), counts, canvas);
    const block = { element, total, counts, canvas, option, rows: [], at: -1, columns: 1 };
    title.addEventListener("click", () => this.choose(name));
    canvas.addEventListener("mousemove", (event) => this.#point(block, this.#under(block, event)));
    canvas.addEventListener("mouseleave", () => this.#point(block, -1));
    canvas.addEventListener("focus", () => this.#point(block, Math.max(0, block.at)));
    canvas.addEventListener("blur", () => this.#point(block, -1));
    canvas.addEventListener("click", (event) => this.#openAt(block, this.#under(block, event)));
    canvas.addEventListener("keydown", (event) => this.#key(block, event));
    return block;
  }

  // Whether they are others than before: most news is of one agent, and the other blocks stay as they are drawn.
  #set(block, rows) {
    if (rows.length === block.rows.length && rows.every((row, index) => row === block.rows[index])) return false;
    block.rows = rows;
    block.element.classList.toggle("wide", rows.length > 300);
    put(block.total, number(rows.length));
    const tally = STATUSES.map((status) => [status, rows.filter((row) => row.status === status).length]);
    block.counts.replaceChildren(
      ...tally
        .filter(([, many]) => many > 0)
        .map(([status, many]) =>
          make(
            "span",
            { title: status },
            shape(status),
            number(many),
            make("span", { class: "hidden" }, ` ${status} `),
          ),
        ),
    );
    if (block.at >= rows.length) block.at = -1;
    if (block.at >= 0 || block.option.textContent === "") this.#say(block);
    return true;
  }

  #drawAll() {
    if (this.#visible) this.#lay([...this.#blocks.values()]);
  }

  #lay(blocks) {
    if (blocks.length === 0) return;
    const style = getComputedStyle(this.home);
    this.colours = Object.fromEntries(
      [...STATUSES, "ink"].map((name) => [name, style.getPropertyValue(`--${name}`).trim()]),
    );
    // Read all widths before anything is changed: one layout instead of one for each block.
    const widths = blocks.map((block) => [block, block.element.clientWidth - 2 * PADDING]);
    for (const [block, width] of widths) this.#layOut(block, width);
  }

  #layOut(block, width) {
    block.columns = Math.max(1, Math.floor((width + STEP - SQUARE) / STEP));
    const height = Math.ceil(block.rows.length / block.columns) * STEP;
    const scale = devicePixelRatio || 1;
    block.canvas.width = Math.round(block.columns * STEP * scale);
    block.canvas.height = Math.round(height * scale);
    block.canvas.style.width = `${block.columns * STEP}px`;
    block.canvas.style.height = `${height}px`;
    this.#draw(block);
  }

  #draw(block) {
    const context = block.canvas.getContext("2d");
    const scale = devicePixelRatio || 1;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, block.canvas.width, block.canvas.height);
    block.rows.forEach((row, index) => {
      const x = (index % block.columns) * STEP + 2;
      const y = Math.floor(index / block.columns) * STEP + 2;
      square(context, row.status, this.colours[row.status], x, y);
      if (index === block.at) {
        context.strokeStyle = this.colours.ink;
        context.lineWidth = 2;
        context.strokeRect(x - 1, y - 1, SQUARE + 2, SQUARE + 2);
      }
    });
  }

  #under(block, event) {
    const column = Math.floor(event.offsetX / STEP);
    const index = Math.floor(event.offsetY / STEP) * block.columns + column;
    return column < block.columns && index >= 0 && index < block.rows.length ? index : -1;
  }

  #point(block, index) {
    block.canvas.classList.toggle("on", index >= 0);
    if (block.at === index) return;
    block.at = index;
    this.#say(block);
    this.#draw(block);
  }

  // Says which agent is pointed at: on the screen, on hover, and to a screen reader.
  #say({ canvas, option, rows, at }) {
    const row = rows[at];
    const said = row === undefined ? "" : sentenceOf(row);
    put(this.pointed, said);
    put(option, said || sentenceOf(rows[0]));
    attribute(canvas, "title", said || null);
    attribute(canvas, "aria-activedescendant", row === undefined ? null : option.id);
    attribute(option, "aria-posinset", Math.max(0, at) + 1);
    attribute(option, "aria-setsize", rows.length);
  }

  #openAt(block, index) {
    if (index >= 0) this.open(block.rows[index].id);
  }

  #key(block, event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const last = block.rows.length - 1;
    const moves = {
      ArrowRight: 1,
      ArrowLeft: -1,
      ArrowDown: block.columns,
      ArrowUp: -block.columns,
      j: 1,
      k: -1,
      Home: -last,
      End: last,
    };
    if (event.key in moves) this.#point(block, Math.max(0, Math.min(last, block.at + moves[event.key])));
    else if (event.key === "Enter" || event.key === " ") this.#openAt(block, block.at);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

function sentenceOf(row) {
  return [row.name, row.status, row.reason, row.path].filter((text) => text !== "").join(" · ");
}

function byNameAndId(one, other) {
  if (one.name !== other.name) return one.name < other.name ? -1 : 1;
  return one.id < other.id ? -1 : 1;
}

// The same shapes as in the table: full, half full, empty, crossed.
function square(context, status, colour, x, y) {
  context.fillStyle = colour;
  context.strokeStyle = colour;
  context.lineWidth = 1.5;
  if (status === "active") {
    context.fillRect(x, y, SQUARE, SQUARE);
  } else if (status === "unreachable") {
    context.lineWidth = 2.5;
    context.beginPath();
    context.moveTo(x + 1.5, y + 1.5);
    context.lineTo(x + SQUARE - 1.5, y + SQUARE - 1.5);
    context.moveTo(x + SQUARE - 1.5, y + 1.5);
    context.lineTo(x + 1.5, y + SQUARE - 1.5);
    context.stroke();
  } else {
    context.strokeRect(x + 0.75, y + 0.75, SQUARE - 1.5, SQUARE - 1.5);
    if (status === "inactive") context.fillRect(x, y + SQUARE / 2, SQUARE, SQUARE / 2);
  }
}
