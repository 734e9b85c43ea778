// The agents as a table. Only the rows that are seen are in the page, so that ten thousand are as quick as ten: elements
// are reused while one scrolls, each at the place of its row.
//
// The keyboard stays on the table itself (`aria-activedescendant`): a row that scrolls away takes no focus with it.

import { COLUMNS } from "./agents.js";
import { attribute, foreign, make, moment, put, shape } from "./shown.js";
import { ago } from "./time.js";

// Rows above and below what is seen, so that a turn of the wheel finds them there.
const MARGIN_ROWS = 8;

// For how long a row that changed is marked.
const FRESH_MS = 2500;

export class Table {
  #list = [];
  #slots = [];
  #rowHeight = 0;
  #selected = null;
  #changed = new Map();
  #sort = { key: "name", descending: false };

  /** `open` is told the id of the agent whose story is wanted, `sorted` that another order is. */
  constructor({ open, sorted }) {
    this.grid = document.getElementById("grid");
    this.rows = document.getElementById("rows");
    this.head = document.getElementById("head");
    this.choice = document.getElementById("sort");
    Object.assign(this, { open, sorted });
    this.#makeHead();
    this.probe = make("div", { class: "row probe", "aria-hidden": "true" });
    this.grid.append(this.probe);
    this.grid.addEventListener("scroll", () => this.#render(), { passive: true });
    this.grid.addEventListener("keydown", (event) => this.#key(event));
    new ResizeObserver(() => this.#measure()).observe(this.grid);
  }

  /** In which order rows are wanted. */
  get sort() {
    return this.#sort;
  }

  /** Shows these rows, in this order. */
  show(list) {
    this.#list = list;
    attribute(this.grid, "aria-rowcount", list.length + 1);
    this.#render();
  }

  /** Marks agents as changed just now. */
  mark(ids) {
    const now = performance.now();
    for (const id of ids) this.#changed.set(id, now);
  }

  /** Time passed: ages are older, and what changed is no longer new. */
  tick() {
    const now = performance.now();
    for (const [id, since] of this.#changed) {
      if (now - since > FRESH_MS) this.#changed.delete(id);
    }
    for (const slot of this.#slots) this.#age(slot);
  }

  /** Moves the selection by a number of rows, and looks at it. */
  move(by) {
    const at = this.#list.findIndex((row) => row.id === this.#selected);
    const from = at < 0 ? (by > 0 ? -1 : this.#list.length) : at;
    this.#select(Math.max(0, Math.min(this.#list.length - 1, from + by)));
  }

  #makeHead() {
    this.buttons = COLUMNS.map(({ key, title }) => {
      const button = make(
        "button",
        { type: "button" },
        title,
        make("span", { class: "arrow", "aria-hidden": "true" }),
      );
      button.addEventListener("click", () => this.#sortBy(key, this.#sort.key === key && !this.#sort.descending));
      this.head.append(make("div", { role: "columnheader", class: key }, button));
      return button;
    });
    for (const { key, title } of COLUMNS) {
      this.choice.append(
        make("option", { value: `${key} up` }, `${title} ↑`),
        make("option", { value: `${key} down` }, `${title} ↓`),
      );
    }
    this.choice.addEventListener("change", () => {
      const [key, way] = this.choice.value.split(" ");
      this.#sortBy(key, way === "down");
    });
    attribute(this.grid, "aria-colcount", COLUMNS.length);
    this.#showSort();
  }

  #sortBy(key, descending) {
    this.#sort = { key, descending };
    this.#showSort();
    this.sorted();
    this.grid.scrollTop = 0;
  }

  #showSort() {
    const { key, descending } = this.#sort;
    COLUMNS.forEach((column, index) => {
      const cell = this.buttons[index].parentElement;
      attribute(cell, "aria-sort", column.key !== key ? "none" : descending ? "descending" : "ascending");
      put(this.buttons[index].lastChild, column.key !== key ? "" : descending ? "↓" : "↑");
    });
    this.choice.value = `${key} ${descending ? "down" : "up"}`;
  }

  #measure() {
    this.#rowHeight = this.probe.offsetHeight;
    this.#render();
  }

  #render() {
    if (this.#rowHeight === 0) return;
    const { scrollTop, clientHeight } = this.grid;
    const first = Math.max(0, Math.floor(scrollTop / this.#rowHeight) - MARGIN_ROWS);
    const last = Math.min(this.#list.length, Math.ceil((scrollTop + clientHeight) / this.#rowHeight) + MARGIN_ROWS);
    this.rows.style.height = `${this.#list.length * this.#rowHeight}px`;
    const needed = Math.ceil(clientHeight / this.#rowHeight) + 2 * MARGIN_ROWS + 2;
    while (this.#slots.length < needed) this.#slots.push(this.#makeSlot(this.#slots.length));
    // Row n is always in the same element, so that scrolling writes only the rows that come into sight.
    const size = this.#slots.length;
    for (const slot of this.#slots) slot.index = -1;
    for (let index = first; index < last; index += 1) this.#slots[index % size].index = index;
    for (const slot of this.#slots) this.#fill(slot);
    const active = this.#slots.find((slot) => slot.index >= 0 && slot.row?.id === this.#selected);
    attribute(this.grid, "aria-activedescendant", active ? active.element.id : null);
  }

  #makeSlot(number) {
    const cells = Object.fromEntries(COLUMNS.map(({ key }) => [key, make("div", { role: "gridcell", class: key })]));
    const element = make("div", { role: "row", class: "row", id: `row-${number}` }, ...Object.values(cells));
    const slot = { element, cells, index: -1, row: null, top: -1 };
    element.addEventListener("click", () => {
      if (slot.row === null || String(getSelection()) !== "") return;
      this.#select(slot.index);
      this.open(slot.row.id);
    });
    element.hidden = true;
    this.rows.append(element);
    return slot;
  }

  #fill(slot) {
    const row = slot.index < 0 ? null : this.#list[slot.index];
    if (row !== slot.row) {
      slot.row = row;
      slot.element.hidden = row === null;
      if (row !== null) this.#write(slot.cells, row);
    }
    if (row === null) return;
    const top = slot.index * this.#rowHeight;
    if (slot.top !== top) {
      slot.top = top;
      slot.element.style.transform = `translateY(${top}px)`;
    }
    attribute(slot.element, "aria-rowindex", slot.index + 2);
    attribute(slot.element, "aria-selected", String(row.id === this.#selected));
    this.#age(slot);
  }

  #write(cells, row) {
    cells.status.replaceChildren(shape(row.status), make("span", { class: "word" }, row.status));
    cells.name.replaceChildren(foreign(row.name));
    cells.id.replaceChildren(foreign(shortened(row.id)));
    cells.runtime.replaceChildren(foreign(row.runtime));
    cells.namespace.replaceChildren(foreign(row.namespace));
    // What tells projects apart is at the end, so it is the beginning that a narrow column cuts off.
    cells.path.replaceChildren(foreign(row.place, { dir: "ltr" }));
    cells.age.replaceChildren(moment(row.since, "", `${row.sinceWhat} ${row.since || "never"}`));
    cells.reason.replaceChildren(row.reason);
    for (const key of ["name", "id", "runtime", "namespace", "path", "reason"])
      attribute(cells[key], "title", row[key]);
  }

  #age(slot) {
    if (slot.row === null) return;
    put(slot.cells.age.firstChild, ago(slot.row.sinceMs, Date.now()));
    slot.element.classList.toggle("fresh", this.#changed.has(slot.row.id));
  }

  #select(index) {
    const row = this.#list[index];
    if (row === undefined) return;
    this.#selected = row.id;
    const top = index * this.#rowHeight;
    // The head lies over the first rows, so what is above it counts as out of sight.
    const seen = this.grid.clientHeight - this.head.offsetHeight;
    if (top < this.grid.scrollTop) this.grid.scrollTop = top;
    else if (top + this.#rowHeight > this.grid.scrollTop + seen) this.grid.scrollTop = top + this.#rowHeight - seen;
    this.#render();
  }

  #key(event) {
    if (event.target !== this.grid || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(this.grid.clientHeight / this.#rowHeight) - 2);
    const moves = {
      ArrowDown: 1,
      ArrowUp: -1,
      PageDown: page,
      PageUp: -page,
      Home: -this.#list.length,
      End: this.#list.length,
    };
    if (event.key in moves) this.move(moves[event.key]);
    else if (event.key === "Enter" && this.#list.some((row) => row.id === this.#selected)) this.open(this.#selected);
    else return;
    event.preventDefault();
  }
}

// Ids that were made one after the other begin alike; what tells them apart is at the end.
function shortened(id) {
  return id.length > 12 ? `…${id.slice(-8)}` : id;
}
