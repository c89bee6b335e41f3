// SPDX-License-Identifier: BSD-2-Clause
// Each pool's ring: which keys there are, what they are for, how old they are.
import {chip, el, hint, show, table} from "./dom.js";
import {duration, plural} from "./words.js";

const PHASES = {
  steady: "no rotation under way",
  prepare: "rotating: servers keep their keys, balancers learn the next one",
  staged: "rotating: servers take the next key as their backup",
  minting: "rotating: servers begin to mint with the new key",
};
const PLACES = {
  current: ["good", "servers mint and take cookies under it"],
  previous: ["good", "servers still take its cookies"],
  staged: ["asks", "the next one: servers take its cookies already"],
  retired: ["old", "servers have given it up; renewed where a VIP asks for it"],
  revoked: ["bad", "never accepted"],
};

function generation(key, state, now) {
  const [mark, usual] = PLACES[key.place] ?? [null, ""];
  const meaning = key.place === "staged" && state === "prepare" ? "the next one: servers do not have it yet" : usual;
  const left = key.not_after ? key.not_after - now : null;
  return [chip(key.place, mark), el("code", {}, key.fingerprint),
    key.created_at > 0 ? duration(now - key.created_at) : "–",
    left === null ? "no end" : left > 0 ? `in ${duration(left)}` : `over since ${duration(-left)}`, meaning];
}

function next(pool, now) {
  if (!pool.next_rotation) return "rotates by command";
  const left = pool.next_rotation - now;
  return left > 0 ? `next rotation in ${duration(left)}` : "a rotation is due";
}

/** Whom a rotation of a shared pool waits for. */
function farm(one) {
  if (!one) return null;
  const lead = one.leader ? `led by ${one.leader}` : "nobody leads";
  const waits = one.waits_for?.length ? el("span", {}, chip("waits for", "old"), ` ${one.waits_for.join(", ")} `) : null;
  return el("p", {}, waits, el("span", {class: "hint"}, `${plural(one.members, "member")} of the farm, ${lead}`,
    one.connected ? "" : "; etcd is away"));
}

function pool(one, now, shared) {
  const rotating = one.state !== "steady";
  return el("section", {ariaLabel: `Pool ${one.name}`, dataKey: one.name},
    el("h3", {}, `Pool ${one.name} `, chip(rotating ? "rotating" : one.state, rotating ? "asks" : "good")),
    hint(`${PHASES[one.state] ?? one.state} · store ${one.store} · ${next(one, now)}`),
    one.missing.length ? el("p", {}, chip("waiting", "old"), ` without the present keys: ${one.missing.join(", ")}`) : null,
    farm(shared),
    table(`Generations of pool ${one.name}, by fingerprint`,
      [["Place", ""], ["Key", ""], ["Age", ""], ["Ends", ""], ["What it is for", ""]],
      one.ring.map((key) => generation(key, one.state, now))));
}

export function showKeys({pools, farms, now}) {
  show("keys-body", pools.length ? pools.map((one) => pool(one, now, farms[one.name])) : hint("No pool of keys is configured."));
}
