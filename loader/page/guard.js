// SPDX-License-Identifier: BSD-2-Clause
// The VIPs with what was done to their SYNs and how full they are, and the networks over their limits.
import {chip, el, hint, show, table} from "./dom.js";
import {ago, compact, count, day, milliseconds, plural} from "./words.js";

const sum = (object) => Object.values(object).reduce((all, one) => all + one, 0);

export function showVips({vips, vips_total: total}) {
  if (!vips.length) {
    show("vips-body", hint("No VIP is watched here."));
    return;
  }
  const many = (number) => (number ? compact(number) : "0");
  show("vips-body", table("SYNs to each VIP since they are counted",
    [["VIP", ""], ["Mode", ""], ["SYNs", "number"], ["Good", "number"], ["Asks", "number"], ["Plain", "number"],
      ["Old key", "number"], ["Bad", "number"], ["Renewed", "number"], ["Demoted", "number"], ["Dropped", "number"],
      ["Handshake", "number"]],
    vips.map(({name, mode, classes, actions, handshake_ms: ms}) => [name, mode ?? "–", many(sum(classes)),
      many(classes.good), many(classes.asks), many(classes.plain), many(classes.old), many(classes.bad),
      many(actions.renew), many(actions.demote), many(actions.drop), milliseconds(ms)])),
  total > vips.length ? hint(`and ${count(total - vips.length)} more VIPs: tfoctl stats`) : null);
}

function load({name, guard, load: open, limit, guarded}) {
  const words = limit === null ? count(open) : `${count(open)} of ${count(limit)}`;
  const meter = limit === null ? null : el("meter", {min: 0, max: limit, high: 0.75 * limit, optimum: 0,
    value: Math.min(open, limit), ariaLabel: `${name}: ${words}`});
  return [name, chip(guard, guard === "on" ? "good" : null), el("span", {}, words, meter), count(guarded)];
}

function networks({guarded, guarded_total: total}, now) {
  if (!guarded.length) return [hint("No client network is over its limit.")];
  return [table("Client networks over their limit: their SYNs get ordinary handshakes where a VIP enforces",
    [["Network", ""], ["VIP", ""], ["Limit of", ""], ["Open", "number"], ["Limit", "number"], ["SYNs over", "number"], ["Since", ""]],
    guarded.map((one) => [el("code", {}, one.network), one.vip, one.level, count(one.load), count(one.limit),
      compact(one.over), ago(one.since, now)])),
  total > guarded.length ? hint(`and ${plural(total - guarded.length, "older one")}`) : null];
}

function said(listed) {
  return listed.length ? table("What the operator said of networks", [["Network", ""], ["Said", ""], ["Until", ""]],
    listed.map((one) => [el("code", {}, one.network), one.verdict, one.until ? day(one.until) : "released"])) : null;
}

function history(list, now) {
  if (!list.length) return null;
  return el("details", {}, el("summary", {}, "What happened lately"),
    table("Networks that came over their limit and left, newest first", [["Network", ""], ["What", ""], ["VIP", ""], ["When", ""]],
      list.slice(0, 20).map((one) => [el("code", {}, one.network), one.event, one.vip ?? "", ago(one.at, now)])));
}

export function showGuard({vips, guarded, now}) {
  if (!guarded) {
    show("guard-body", hint("No XDP here, so no guard."));
    return;
  }
  const first = {...guarded, guarded: guarded.guarded.slice(0, 50)};
  show("guard-body", networks(first, now), vips.length ? table("Open handshakes of each VIP",
    [["VIP", ""], ["Guard", ""], ["Open", ""], ["Networks over", "number"]],
    vips.filter((one) => one.load !== null).map(load)) : null, said(guarded.listed), history(guarded.history, now));
}
