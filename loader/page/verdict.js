// SPDX-License-Identifier: BSD-2-Clause
// The sentence at the top, what it is based on, and the numbers beside it.
import {chip, el, find, setText, show} from "./dom.js";
import {ago, compact, count, duration, milliseconds, percent, plural, rate} from "./words.js";

const MARKS = {off: "bad", critical: "bad", warning: "old", note: null};
let spoken = "";

function finding(one, now) {
  return el("li", {},
    chip(one.weight, MARKS[one.weight]),
    el("span", {}, one.text + (one.subject ? ` (${one.subject})` : "")),
    one.more ? el("span", {class: "more"}, one.more) : null,
    one.since ? el("span", {class: "more"}, `since ${ago(one.since, now).replace(" ago", "")}`) : null);
}

/** Numbers change all the time: who listens is told only of what else does. */
function speak(verdict) {
  const what = verdict.health + verdict.sentence.replace(/[0-9]+/g, "");
  if (what === spoken) return;
  spoken = what;
  setText("spoken", verdict.sentence);
}

export function showVerdict(all) {
  const {verdict} = all;
  find("verdict").dataset.health = verdict.health;
  setText("headline", verdict.headline);
  setText("reason", verdict.reason);
  show("findings", verdict.findings.map((one) => finding(one, all.now)));
  document.title = `${verdict.headline} · ${all.node}`;
  speak(verdict);
}

function tile(title, value, detail, mark) {
  return el("div", {class: "tile", dataMark: mark}, el("dt", {}, title), el("dd", {class: "value"}, value),
    el("dd", {class: "detail"}, detail));
}

function cookieTile({classes, actions}) {
  const all = classes.good + classes.old + classes.bad;
  const good = Math.min(all, classes.good + actions.renew); // what was renewed is good at the servers
  return tile("Good cookies", percent(good, all),
    all ? `${count(good)} of ${count(all)} in the last minute` : "nobody came with one",
   
    all >= 20 && good < 0.9 * all ? "bad" : null);
}

/** A field's rate in the last few seconds. */
function lately({fields, points}, name) {
  const sum = (field) => points.reduce((all, point) => all + point[fields.indexOf(field)], 0);
  return points.length ? sum(name) / sum("seconds") : 0;
}

function savedTiles({saved, recent}) {
  const perSecond = lately(recent, "accepted");
  return [
    tile("Round trips saved", saved.measured ? compact(saved.round_trips) : "not measured",
      saved.measured ? `${rate(perSecond)} a second now` : "the guard is off"),
    tile("Time saved", saved.saved_ms === null ? "–" : milliseconds(saved.saved_ms),
      saved.handshake_ms === null ? "no handshake timed yet" : `${milliseconds(saved.handshake_ms)} each handshake`),
  ];
}

function guardTile({vips, guarded}) {
  const total = guarded?.guarded_total ?? 0;
  const load = vips.reduce((sum, vip) => sum + (vip.load ?? 0), 0);
  return tile("Guarded networks", count(total), `${plural(load, "handshake")} open`, total ? "old" : null);
}

export function showTiles(all) {
  const {minute, alerts, recent} = all;
  const raised = alerts.alerts ?? [];
  const critical = raised.filter((one) => one.severity === "critical").length;
  const unsolicited = lately(recent, "unsolicited");
  show("tiles", cookieTile(minute), savedTiles(all), guardTile(all),
    tile("SYN-ACKs without SYN", `${rate(unsolicited)}/s`, `${compact(all.totals.unsolicited)} in all`,
      raised.some((one) => one.kind === "reflection") ? "bad" : null),
    tile("Alerts", count(raised.length), critical ? `${critical} critical` : raised.length ? "warnings" : "none raised",
      critical ? "bad" : raised.length ? "old" : null));
}

export function showAbout(all) {
  setText("node", all.instance === "default" ? all.node : `${all.node} / ${all.instance}`);
  setText("about", `tfod ${all.version}, pid ${all.pid}, up ${duration(all.uptime_s)}`);
}
