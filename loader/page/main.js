// SPDX-License-Identifier: BSD-2-Clause
// Asks tfod every two seconds and hands the answer to the parts of the page.
import {showAlerts, showConditions} from "./alerts.js";
import {showAttached, showReflection} from "./attached.js";
import {LineChart} from "./charts.js";
import {find, setText, show, table} from "./dom.js";
import {showGuard, showVips} from "./guard.js";
import {showKeys} from "./keys.js";
import {Series, perSecond} from "./series.js";
import {showAbout, showTiles, showVerdict} from "./verdict.js";
import {clock, count, duration, milliseconds, percent} from "./words.js";

const PACE = 2000; // milliseconds between two questions
const HIDDEN_PACE = 10000;
const PATIENCE = 6000;
const series = new Series();
let heard = null; // when tfod last answered, unix seconds of this browser's clock
let timer = 0;

const charts = [
  new LineChart("classes-chart", "SYNs to the VIPs by class", [
    {label: "good cookie", colour: "good", value: perSecond("good")},
    {label: "asks for one", colour: "asks", value: perSecond("asks")},
    {label: "no Fast Open", colour: "plain", value: perSecond("plain")},
    {label: "old key", colour: "old", value: perSecond("old")},
    {label: "bad cookie", colour: "bad", value: perSecond("bad")},
    {label: "other", colour: "other", value: perSecond("other")},
  ], true),
  new LineChart("saved-chart", "Handshakes with data", [
    {label: "data taken at once", colour: "good", value: perSecond("accepted")},
    {label: "not taken", colour: "old", value: perSecond("not_accepted")},
    {label: "reset or unanswered", colour: "bad", value: perSecond("reset", "timeout")},
  ], false),
  new LineChart("reflection-chart", "SYN-ACKs that answer no SYN", [
    {label: "SYN-ACKs without SYN", colour: "bad", value: perSecond("unsolicited")},
  ], false),
];

async function get(path) {
  const response = await fetch(path, {signal: AbortSignal.timeout(PATIENCE), cache: "no-store"});
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}

const OUTCOMES = [["accepted", "data taken at once: a round trip saved"], ["not_accepted", "answered, data not taken"],
  ["opened", "answered, no data in the SYN"], ["reset", "reset"], ["timeout", "not answered"]];

function showSaved({saved, totals}) {
  const all = OUTCOMES.reduce((sum, [name]) => sum + totals.handshakes[name], 0);
  show("saved-body", saved.measured ? table("What became of handshakes with a good cookie",
    [["Outcome", ""], ["Handshakes", "number"], ["Share", "number"]],
    OUTCOMES.map(([name, text]) => [text, count(totals.handshakes[name]), percent(totals.handshakes[name], all)])) : null);
  setText("saved-hint", !saved.measured ? "Not measured: the guard of every VIP is off."
    : saved.handshake_ms === null ? "Data that a server took with the SYN came one round trip sooner."
      : `Data that a server took with the SYN came one round trip sooner: ${milliseconds(saved.handshake_ms)} on average, measured from SYN to ACK.`);
}

function showAll(all) {
  for (const part of [showVerdict, showTiles, showAlerts, showVips, showSaved, showReflection, showKeys, showGuard,
    showAttached, showConditions, showAbout]) part(all);
  for (const chart of charts) chart.draw(series, all.now);
}

function showHeard(failed) {
  const live = find("live");
  live.dataset.state = failed ? "bad" : "good";
  document.body.classList.toggle("old", failed);
  const stale = find("stale");
  stale.hidden = !failed;
  if (!failed) {
    setText("live", `live · ${clock(heard)}`);
    return;
  }
  const since = heard === null ? "tfod does not answer." : `tfod does not answer since ${clock(heard)}: what you see is of then.`;
  setText("stale", `${since} It is asked again every two seconds.`);
  setText("live", heard === null ? "no answer" : `no answer for ${duration(Date.now() / 1000 - heard)}`);
}

async function ask() {
  clearTimeout(timer);
  let failed = false;
  try {
    const all = await get("/api/overview");
    if (!series.last() || !series.add(all.recent)) series.replace(await get("/api/history"));
    heard = Date.now() / 1000;
    showAll(all);
  } catch (error) {
    if (!(error instanceof TypeError || error instanceof DOMException || /: 5/.test(error.message))) console.error(error);
    failed = true;
  }
  showHeard(failed);
  clearTimeout(timer);
  timer = setTimeout(ask, document.hidden ? HIDDEN_PACE : PACE);
}

document.addEventListener("visibilitychange", () => { if (!document.hidden) ask(); });
ask();
