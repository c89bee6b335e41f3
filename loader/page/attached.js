// SPDX-License-Identifier: BSD-2-Clause
// Where the programs are, who is watched for reflection, and what the servers of this node do.
import {chip, hint, show, table} from "./dom.js";
import {compact, count, plural} from "./words.js";

const MODES = {native: "good", generic: "old", gone: "bad", failed: "bad"};
const READY = {ready: "good", not_warm: "old", unproven: "old"};
const BITS = {on: ["on", "good"], unmanaged: ["not ours to set", null], waiting: ["waiting", "old"],
  joining: ["joining the farm", "old"], expired: ["off: no valid key", "bad"], foreign_key: ["off: other keys", "bad"]};

function hooks(one) {
  const list = ["XDP ingress"];
  if (one.egress) list.push("SYN-ACKs that leave");
  if (one.tracks) list.push("SYNs that leave");
  return list.join(", ");
}

function interfaces(list) {
  if (!list.length) return hint("No interface: this node only keeps its servers' keys.");
  return table("Interfaces and the programs on them",
    [["Interface", ""], ["Mode", ""], ["What is seen", ""], ["Note", ""]],
    list.map((one) => [one.name, chip(one.mode, MODES[one.mode]), hooks(one), one.detail]));
}

function listeners(ns) {
  if (ns.error) return ns.error;
  const words = ns.listeners.map((one) => one.fastopen_limit === null ? `port ${one.port}`
    : `port ${one.port}: ${count(one.fastopen_pending)} of ${count(one.fastopen_limit)} open`);
  return words.join("; ") + (ns.left_out ? ` and ${ns.left_out} more` : "") || "no listener takes Fast Open";
}

function servers(list) {
  if (!list.length) return null;
  return table("Server namespaces of this node", [["Namespace", ""], ["Pool", ""], ["Fast Open", ""], ["Listeners", ""]],
    list.map((ns) => [ns.netns, ns.pool, chip(...(BITS[ns.server_bit] ?? [ns.server_bit, null])), listeners(ns)]));
}

export function showAttached(all) {
  show("attached-body", interfaces(all.interfaces), servers(all.namespaces));
}

export function showReflection(all) {
  const {monitor} = all;
  if (!monitor) {
    show("reflection-body", hint("Nobody is watched for reflection."));
    return;
  }
  const left = all.subjects_total - monitor.subjects.length;
  show("reflection-body", table("Who is watched",
    [["Address or prefix", ""], ["Kind", ""], ["State", ""], ["Without SYN", "number"], ["Senders lately", "number"]],
    monitor.subjects.map((one) => [one.name, one.kind, chip(one.readiness.replace("_", " "), READY[one.readiness]),
      compact(one.unsolicited), compact(one.reflectors)])),
  left > 0 ? hint(`and ${plural(left, "more subject")}`) : null);
}
