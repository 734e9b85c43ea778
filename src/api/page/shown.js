// How text becomes part of the page. Names, paths and whatever else a manifest says are a stranger's: every string goes
// through `shown` and is put as text, never as markup. No other file makes an element or an attribute of its own.

// Characters that do something else than show themselves: control characters, those that reorder, break or hide text, and
// letters that are nothing but room. The same as the daemon escapes for terminals and logs. A surrogate without its other
// half is among them.
const ACTS = new RegExp(
  "[\\p{Cc}\\p{Cs}\\u{ad}\\u{61c}\\u{180e}\\u{200b}-\\u{200f}\\u{2028}-\\u{202e}" +
    "\\u{2060}-\\u{206f}\\u{feff}\\u{fff9}-\\u{fffb}\\u{e0000}-\\u{e007f}\\u{115f}\\u{1160}\\u{3164}\\u{ffa0}]",
  "gu",
);

// Text with nothing to see in it: white space, the empty cell of Braille, and what only changes the character before it.
const BLANK = /^[\s\u{34f}\u{2800}\u{fe00}-\u{fe0f}]+$/u;

const SVG = "http://www.w3.org/2000/svg";

/** The text with everything visible that is in it: U+202E becomes `\u{202e}`. */
export function shown(text) {
  return String(text).replace(ACTS, escaped);
}

/** An element with attributes and children; children that are strings become text, those that are null are left out. */
export function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function draw(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** A stranger's text, which orders its own letters and nobody else's. Where there is nothing to see in it all is escaped. */
export function foreign(text, attributes = {}) {
  const all = String(text ?? "");
  return make("bdi", attributes, BLANK.test(all) ? [...all].map(escaped).join("") : all);
}

/** A stranger's text of several lines, each on its own. */
export function foreignLines(text) {
  return String(text)
    .split(/\r\n|\n/u)
    .map((line) => make("div", {}, foreign(line)));
}

/** A moment, with the whole of it on hover; `text` is what is read. */
export function moment(iso, text, hover = iso) {
  return make("time", { datetime: iso, title: hover }, text);
}

/** The shape of a status. */
export function shape(name) {
  return draw("svg", { class: `shape ${name}`, "aria-hidden": "true" }, draw("use", { href: `#shape-${name}` }));
}

/** Sets an element's text, and touches the page only if it is another. */
export function put(element, text) {
  const safe = shown(text);
  if (element.textContent !== safe) element.textContent = safe;
}

/** Sets an attribute, and touches the page only if it is another. */
export function attribute(element, name, value) {
  if (value === null || value === undefined) element.removeAttribute(name);
  else if (element.getAttribute(name) !== shown(value)) element.setAttribute(name, shown(value));
}

function escaped(character) {
  return `\\u{${character.codePointAt(0).toString(16)}}`;
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) element.setAttribute(name, shown(value));
  }
  for (const child of children.flat()) {
    if (child !== null && child !== undefined) element.append(child instanceof Node ? child : shown(child));
  }
  return element;
}
