// SPDX-License-Identifier: BSD-2-Clause
// Elements. Whatever comes from the network goes in as text.

/** el("p", {class: "hint", dataKey: "x"}, "text", child, null): null children are left out. */
export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    made.setAttribute(key.replace(/[A-Z]/g, (letter) => "-" + letter.toLowerCase()), value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    made.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return made;
}

export const find = (id) => document.getElementById(id);

export function setText(id, text) {
  const node = find(id);
  if (node.textContent !== text) node.textContent = text;
}

function samePlace(mine, wanted) {
  return mine.nodeName === wanted.nodeName && mine.dataset?.key === wanted.dataset?.key;
}

/** Makes `live` what `wanted` is, and touches nothing that is so already: focus, selection and open
    details stay as they are. */
export function morph(live, wanted) {
  for (const {name, value} of wanted.attributes) {
    if (live.getAttribute(name) !== value) live.setAttribute(name, value);
  }
  for (const {name} of [...live.attributes]) {
    if (!wanted.hasAttribute(name) && name !== "open") live.removeAttribute(name);
  }
  fill(live, [...wanted.childNodes]);
}

/** The same for the children of `live`. */
export function fill(live, wanted) {
  wanted.forEach((node, at) => {
    const mine = live.childNodes[at];
    if (!mine) live.append(node);
    else if (!samePlace(mine, node)) mine.replaceWith(node);
    else if (node.nodeType === Node.TEXT_NODE) {
      if (mine.data !== node.data) mine.data = node.data;
    } else morph(mine, node);
  });
  while (live.childNodes.length > wanted.length) live.lastChild.remove();
}

export const show = (id, ...children) => fill(find(id), children.flat(Infinity).filter((child) => child));

export const chip = (text, mark) => el("span", {class: "chip", dataMark: mark}, text);

/** Columns: [title, "number" or ""]. Rows: arrays of texts or elements, the first one the row's head. */
export function table(caption, columns, rows) {
  const kind = (at) => (columns[at][1] ? {class: columns[at][1]} : {});
  const classes = (value, at) => [columns[at][1], value === "" && "empty", value === "0" && "zero"].filter(Boolean).join(" ") || null;
  const cell = (value, at) => (at === 0
    ? el("th", {scope: "row"}, value)
    : el("td", {class: classes(value, at), dataLabel: columns[at][0]}, value));
  return el("table", {class: columns.length > 3 ? "stack" : null},
    el("caption", {}, caption),
    el("thead", {}, el("tr", {}, columns.map(([title], at) => el("th", {scope: "col", ...kind(at)}, title)))),
    el("tbody", {}, rows.map((row) => el("tr", {}, row.map(cell)))));
}

export const hint = (text) => el("p", {class: "hint"}, text);
