// SPDX-License-Identifier: BSD-2-Clause
// Evidence of an alert: whatever JSON a rule collected, as lists and tables.
import {el, table} from "./dom.js";
import {count, percent, words} from "./words.js";

const MOST = 6; // rows of a table
const isPlain = (value) => value === null || typeof value !== "object";
const isTable = (value) => Array.isArray(value) && value.length > 0 && value.every((one) => !isPlain(one) && !Array.isArray(one));

function text(value, name = "") {
  if (value === null || value === undefined) return "n/a";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "number" && name.endsWith("share")) return percent(value, 1);
  if (typeof value === "number") return Number.isInteger(value) ? count(value) : String(Number(value.toPrecision(3)));
  return isPlain(value) ? String(value) : JSON.stringify(value);
}

const facts = (object) => el("dl", {class: "facts"}, Object.entries(object).filter(([, value]) => isPlain(value)).map(
  ([name, value]) => [el("dt", {}, words(name)), el("dd", {}, text(value, name))]));

/** What names a row comes first. */
function rows(list, title) {
  const all = [...new Set(list.flatMap((one) => Object.keys(one)))];
  const numeric = (name) => list.every((one) => typeof one[name] === "number");
  const head = (name) => !numeric(name) || name === "port";
  const names = [...all.filter(head), ...all.filter((name) => !head(name))];
  return [table(title, names.map((name) => [words(name), numeric(name) && !head(name) ? "number" : ""]),
    list.slice(0, MOST).map((one) => names.map((name) => (name === "port" ? String(one[name]) : text(one[name], name))))),
  list.length > MOST ? el("p", {class: "hint"}, `and ${count(list.length - MOST)} more`) : null];
}

const block = (title, ...content) => el("div", {}, title ? el("h4", {}, title) : null, content);

/** Blocks beside each other: what is plain together, each list and each object in one of its own. */
function blocks(value, title) {
  if (isTable(value)) return [block("", rows(value, title))];
  if (Array.isArray(value)) return [block(title, el("p", {}, value.map((one) => text(one)).join(", ") || "none"))];
  if (isPlain(value)) return [block(title, el("p", {}, text(value)))];
  const plain = Object.values(value).some(isPlain) ? [block(title, facts(value))] : [];
  return [...plain, ...Object.entries(value).filter(([, one]) => !isPlain(one)).flatMap(
    ([name, one]) => blocks(one, title ? `${title}: ${words(name)}` : words(name)))];
}

export function evidence(value) {
  return value === null || value === undefined ? null : el("div", {class: "evidence"}, blocks(value, ""));
}
