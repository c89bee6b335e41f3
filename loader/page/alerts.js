// SPDX-License-Identifier: BSD-2-Clause
// What is raised, with its evidence, and what else is not as it should be.
import {chip, el, hint, show, table} from "./dom.js";
import {evidence} from "./evidence.js";
import {ago, clock, compact, count, plural, rate, words} from "./words.js";

function numbers(one, now) {
  const parts = [`raised ${ago(one.raised_at, now)}, at ${clock(one.raised_at)}`];
  if (one.rate !== null) parts.push(`${rate(one.rate)}/s now, ${rate(one.peak_rate)}/s at most`);
  if (one.packets) parts.push(plural(one.packets, "packet"));
  if (one.sources) parts.push(plural(one.sources, "source"));
  if (one.absorbed) parts.push(`${plural(one.absorbed, "alert")} in it`);
  return parts.join(" · ");
}

function alert(one, now) {
  const shown = evidence(one.evidence);
  return el("article", {class: "alert", dataSeverity: one.severity, dataKey: one.id, ariaLabel: one.id},
    el("h3", {}, chip(one.severity, one.severity === "critical" ? "bad" : "old"), el("span", {}, one.summary),
      one.subject ? el("code", {}, one.subject) : null),
    el("p", {class: "numbers"}, numbers(one, now)),
    shown ? el("details", {open: one.severity === "critical"}, el("summary", {}, "Evidence"), shown,
      el("p", {class: "hint"}, "All of it: ", el("code", {}, `tfoctl alert show ${one.id}`))) : null);
}

function waiting({waiting: list = [], waiting_total: total = 0}) {
  if (!list.length) return null;
  return el("details", {}, el("summary", {}, `${plural(total, "subject")} not judged now`),
    table("What no alert can be raised about yet, and why", [["Subject", ""], ["Rule", ""], ["State", ""], ["Why", ""]],
      list.map((one) => [one.subject, words(one.rule), words(one.readiness), one.why])));
}

export function showAlerts({alerts, now}) {
  const raised = alerts.alerts ?? [];
  const crowded = (alerts.crowded_out?.warning ?? 0) + (alerts.crowded_out?.critical ?? 0);
  show("alerts-body", raised.length ? raised.map((one) => alert(one, now)) : hint("No alert is raised."),
    crowded ? hint(`and ${compact(crowded)} more, for which there is no room`) : null, waiting(alerts));
}

export function showConditions(all) {
  const list = all.conditions;
  if (!list.length) {
    show("conditions-body", hint("No conditions: nothing is wrong with tfod, its keys or its servers."));
    return;
  }
  const left = all.conditions_total - list.length;
  show("conditions-body", table("What is not as it should be, and what to do",
    [["Condition", ""], ["Of", ""], ["Severity", ""], ["Since", ""], ["What was seen", ""]],
    list.map((one) => [words(one.id), one.subject, chip(one.severity, one.severity === "critical" ? "bad" : "old"),
      ago(one.since, all.now), one.evidence])), left > 0 ? hint(`and ${count(left)} more: tfoctl status`) : null);
}
