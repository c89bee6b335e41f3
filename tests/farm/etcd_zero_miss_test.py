#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Rotation through etcd refuses nobody: clients that come always, that come for the first time, with
cookies one generation old and with the oldest cookies that are accepted keep opening connections
through one balancer to three servers, while keys are rotated at any node; while, in each state of
a rotation, some node's tfod is killed (kill -9) and started again, and the leader of the three
members of etcd. No server's kernel may refuse a cookie (TCPFastOpenPassiveFail), no SYN may count
cookie_invalid. The same without renewal must refuse, or the test could not fail.

A state of the rotation lasts because one member's tfod is stopped, so that it cannot acknowledge it;
a state with "~" in the table was not held: the kill came when it was first seen.

  etcd_zero_miss_test.py BIN [--rotations N]      BIN: the directory of tfod and tfoctl

TFO_TEST_FULL=1: 20 rotations and every node killed in every state, held and not; otherwise 3, some of
them in a held state and the balancer's tfod in each state that is not.
"""
import argparse
import collections
import itertools
import os
import signal
import sys
import threading
import time

import dialer
from client_farm import Failed, judge
from rotated import COOKIES  # tools/farm, where client_farm finds judge
from etcd_client_farm import etcd_client_farm, wait_for
from zero_miss_test import faults

RENEW = {"mode": "enforce", "renew": True}
NO_RENEW = {"mode": "enforce", "renew": False}
STATES = ("prepare", "staged", "minting")
PASSING = "~"  # before a state that is not held
# What is killed: the leader of etcd's members, the tfod that leads the rotation, a server's that does
# not, or the one of that name.
ETCD, LEADER, SERVER = "etcd", "leader", "server"
SHORT = {"prepare": (SERVER, ETCD), "staged": ("lb", ETCD), "minting": (LEADER, ETCD)}
EVERY = (LEADER, "lb", "s1", "s2", "s3", ETCD)

# Generations since the cookie was made, when a rotation begins. At its end the cookie is one older:
# it is then accepted as the last of four retired ones.
AGES = {"one generation old": 1, "oldest accepted": 4}
PRIMED = max(AGES.values())  # rotations before the first one that is watched
EACH = 80  # clients of each generation for each kind
PACE = 0.025  # seconds between two rounds
ROUNDS = 12  # that each situation lasts at least
OFTEN = 3  # rounds: how often a client with an old cookie comes while there are enough of them
SPARINGLY = 12
ALWAYS_COUNT = 10
# The VIP's addresses by kind, so that newcomers do not drive what is remembered out.
PLACES = {"always": (241, 250), "newcomers": (216, 240), "one generation old": (161, 215), "oldest accepted": (1, 160)}
KINDS = ("always", "new cookie", *AGES)

Row = collections.namedtuple("Row", "state killed leader results refused renewed seconds")
Refusal = collections.namedtuple("Refusal", "moment row kind outcome client generation state")


class Traffic:
    """Connections of all kinds, without end, by a thread of its own."""

    def __init__(self, farm):
        self.farm = farm
        self.dialer = dialer.Dialer(farm.netns("c1"))
        self.results = collections.defaultdict(collections.Counter)
        self.refusals = []
        self.always = collections.deque(farm.new_client(*PLACES["always"]) for _ in range(ALWAYS_COUNT))
        self.holders = {kind: collections.defaultdict(collections.deque) for kind in AGES}  # by generation
        self.generation = 0  # rotations that were complete when the current one began
        self.rounds = 0
        self.urgent = False  # is somebody waiting for connections of all kinds?
        self.row, self.state = "", "steady"
        self.error = None
        self.over = threading.Event()
        for client in self.always:
            self.dial("asking", client)
        self.thread = threading.Thread(target=self.flow)

    def dial(self, kind, client, generation=None):
        outcome = self.dialer.dial(*client, self.farm.port)
        self.results[kind][outcome] += 1
        if outcome not in ("data", "asked"):
            self.refusals.append(Refusal(time.time(), self.row, kind, outcome, client, generation, self.state))

    def prime(self):
        """Gives clients cookies of the current generation."""
        for kind in AGES:
            fresh = [self.farm.new_client(*PLACES[kind]) for _ in range(EACH)]
            for client in fresh:
                outcome = self.farm.dial(client)
                if outcome != "asked":
                    raise Failed(f"a client without a cookie: {outcome}")
            self.holders[kind][self.generation].extend(fresh)

    def round(self):
        self.always.rotate()
        self.dial("always", self.always[0])
        client = self.farm.new_client(*PLACES["newcomers"])
        self.dial("asking", client)
        self.dial("new cookie", client)
        for kind, age in AGES.items():
            generation = self.generation - age
            holders = self.holders[kind][generation]
            if holders and self.rounds % (OFTEN if self.urgent or len(holders) > EACH / 2 else SPARINGLY) == 0:
                self.dial(kind, holders.popleft(), generation)

    def flow(self):
        try:
            while not self.over.is_set():
                started = time.monotonic()
                self.round()
                self.rounds += 1
                time.sleep(max(0, PACE - (time.monotonic() - started)))
        except Exception as error:  # pylint: disable=broad-except  (told by the thread that waits)
            self.error = error

    def let_flow(self):
        """Waits for some connections of each kind."""
        target = self.rounds + ROUNDS
        self.urgent = True
        wait_for("the clients' connections", lambda: self.error or self.rounds >= target)
        self.urgent = False
        if self.error:
            raise Failed(f"the clients ended: {self.error}")

    def counted(self):
        return {kind: collections.Counter(outcomes) for kind, outcomes in self.results.items()}

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        self.dialer.close()


def current(observer):
    """The id of the generation that servers mint with; None while the farm is on its way."""
    status = observer.farm_status()
    return next((one["id"] for one in status["generations"]
                 if one["slot"] == "current" and status["state"] == "steady"), None)


class Rotations:
    """Rotations of the farm, each a row of the table."""

    def __init__(self, farm, traffic):
        self.farm, self.traffic = farm, traffic
        self.rows = []
        self.current = current(farm.balancer)
        self.askers = itertools.cycle(farm.nodes())

    def prime(self):
        for _ in range(PRIMED):
            self.traffic.prime()
            self.farm.balancer.rotate()
            self.complete(self.farm.balancer)

    def complete(self, observer):
        """Waits until the rotation is over: another current generation, and everybody holds it."""
        wait_for("the rotation to end", lambda: current(observer) not in (None, self.current), self.farm.story)
        self.farm.wait_settled(observer)
        self.traffic.generation += 1
        self.current = current(observer)

    def row(self, state, killed, rotate):
        """`rotate` does it all; what came of it is a row."""
        farm, traffic = self.farm, self.traffic
        traffic.prime()
        traffic.row, traffic.state = f"{state}, {killed} killed", "steady"
        leader = self.leader()
        results, kernel, renewed = traffic.counted(), farm.kernel(), farm.validator()["did renew"]
        began = time.monotonic()
        rotate()
        seconds = time.monotonic() - began
        traffic.let_flow()
        after = traffic.counted()
        row = Row(state, killed, leader,
                  {kind: after.get(kind, collections.Counter()) - results.get(kind, collections.Counter())
                   for kind in KINDS},
                  farm.kernel()["TCPFastOpenPassiveFail"] - kernel["TCPFastOpenPassiveFail"],
                  farm.validator()["did renew"] - renewed, seconds)
        self.rows.append(row)
        show_row(row)

    def plain(self):
        asker = next(self.askers)

        def rotate():
            asker.rotate()
            self.complete(asker)
        self.row("any", "-", rotate)

    def leader(self):
        """The name of the node that leads; waits until there is one."""
        wait_for("a leader", lambda: self.farm.balancer.farm_status()["leader"], self.farm.story)
        return self.farm.balancer.farm_status()["leader"]

    def named(self, victim):
        if victim == LEADER:
            return self.leader()
        if victim == SERVER:
            leader = self.leader()
            return next(server.node for server in self.farm.servers if server.node != leader)
        return victim

    def killing(self, state, victim):
        victim = self.named(victim)
        if state.startswith(PASSING):
            self.row(state, victim, lambda: self.rotate_killing_in_passing(state[len(PASSING):], victim))
        else:
            self.row(state, victim, lambda: self.rotate_killing(state, victim))

    def rotate_killing_in_passing(self, state, victim):
        observer = next(node for node in self.farm.nodes() if node.node != victim)
        observer.rotate()
        wait_for(state, lambda: self.has_come_to(observer, state), self.farm.story)
        self.traffic.state = f"since {state}"
        self.kill(victim)
        self.complete(observer)

    def has_come_to(self, observer, state):
        """It may be past it: states last some 100 ms."""
        return observer.farm_status()["state"] in STATES[STATES.index(state):] or current(observer) not in (
            None, self.current)

    def rotate_killing(self, state, victim):
        """Holds the rotation in `state` by members that are stopped, kills, starts again, lets go."""
        leader = self.leader()
        others = [node for node in self.farm.nodes() if node.node != victim]
        # The leader is to lead on, if it is not the one to be killed.
        others.sort(key=lambda node: node.node == leader)
        one, two, observer = others[0], others[1], others[-1]
        one.freeze()
        observer.rotate()
        held = self.hold(observer, "prepare", one)
        for following in STATES[1:STATES.index(state) + 1]:
            free = two if held is one else one
            free.freeze()
            held.thaw()
            held = self.hold(observer, following, free)
        self.traffic.let_flow()
        self.kill(victim)
        self.hold(observer, state, held)
        self.traffic.let_flow()
        held.thaw()
        self.complete(observer)

    def hold(self, observer, state, frozen):
        """Waits until all but `frozen` have acknowledged that state."""
        others = [node for node in self.farm.nodes() if node is not frozen]
        wait_for(f"{state} without {frozen.node}", lambda: self.farm.is_acked(observer, state, others),
                 self.farm.story)
        self.traffic.state = state
        return frozen

    def kill(self, victim):
        if victim == ETCD:
            self.kill_etcd()
        else:
            self.kill_tfod(victim)

    def kill_tfod(self, victim):
        node = self.farm.node(victim)
        node.kill()
        self.traffic.let_flow()
        node.start()

    def kill_etcd(self):
        etcd = self.farm.etcd
        leader = etcd.leader()
        etcd.kill(leader)
        self.traffic.let_flow()
        wait_for("another leader of etcd", lambda: etcd.leader() is not None)
        etcd.start(leader)
        etcd.wait_healthy()


def show_head():
    print(f"{'state':10} {'killed':8} {'led by':8} " + " ".join(f"{kind:>18}" for kind in KINDS) +
          f" {'refused':>8} {'renewed':>8} {'seconds':>8}", flush=True)


def show_row(row):
    print(f"{row.state:10} {row.killed:8} {row.leader:8} " + " ".join(f"{row.results[kind]['data']:18}" for kind in KINDS) +
          f" {row.refused:8} {row.renewed:8} {row.seconds:8.1f}", flush=True)


def plan(rotations, full):
    """(state, what is killed) of each rotation; (None, None): nothing is."""
    if full:
        kills = [(manner + state, killed) for state in STATES for manner in ("", PASSING) for killed in EVERY]
    else:
        kills = [(state, killed) for state in STATES for killed in SHORT[state]]
        # Its data plane is then behind the document that it comes back with.
        kills += [(PASSING + state, "lb") for state in STATES]
    return [(None, None)] * rotations + kills


def watched(farm, steps):
    """Rotates under traffic; the kernels' and the validator's counts, the clients' results, rows, refusals."""
    kernel, validator = farm.kernel(), farm.validator()
    with Traffic(farm) as traffic:
        rotations = Rotations(farm, traffic)
        rotations.prime()
        show_head()
        for state, killed in steps:
            if state:
                rotations.killing(state, killed)
            else:
                rotations.plain()
        traffic.let_flow()
    kernel_after, validator_after = farm.kernel(), farm.validator()
    kernel_after.subtract(kernel)
    validator_after.subtract(validator)
    return kernel_after, validator_after, traffic, rotations.rows


def show(title, kernel, validator, traffic):
    print(f"{title}:")
    for kind, outcomes in traffic.results.items():
        print(f"  {kind:20}", ", ".join(f"{number} {outcome}" for outcome, number in outcomes.items()))
    print("  validator:", ", ".join(f"{name} {number}" for name, number in validator.items() if number))
    print("  servers:", ", ".join(f"{name} {number}" for name, number in kernel.items() if number))
    for refusal in traffic.refusals[:20]:
        print("  ", refusal, flush=True)


def judge_renewing(kernel, validator, traffic, rows):
    wrong = faults(kernel, validator, traffic.results)
    wrong += [f"{row.state}, {row.killed} killed: too few connections: {kind}" for row in rows for kind in KINDS
              if row.results[kind]["data"] < 3]
    wrong += [f"{row.state}, {row.killed} killed: nothing was renewed" for row in rows if row.renewed <= 0]
    sent = judge.count(validator, COOKIES)
    taken = sum(outcomes["data"] for outcomes in traffic.results.values())
    if not sent == kernel["TCPFastOpenPassive"] == taken:
        wrong.append(f"{sent} cookies passed the validator, the servers accepted {kernel['TCPFastOpenPassive']}, "
                     f"the clients had the data of {taken} SYNs accepted")
    wrong += [f"too little: {name}" for name in ("cookie_current", "cookie_previous", "cookie_retired")
              if not validator[name]]
    return wrong


def judge_control(kernel, validator, traffic):
    wrong = []
    if not kernel["TCPFastOpenPassiveFail"] or not traffic.results["oldest accepted"]["refused"]:
        wrong.append("without renewal nobody was refused, so the rest proves nothing")
    if validator["did renew"]:
        wrong.append("without renewal something was renewed")
    return wrong


def run(binaries, steps):
    with etcd_client_farm(binaries, RENEW) as farm:
        begun = time.monotonic()
        kernel, validator, traffic, rows = watched(farm, steps)
        show(f"renew on, {time.monotonic() - begun:.0f} s", kernel, validator, traffic)
        wrong = judge_renewing(kernel, validator, traffic, rows)
        farm.restart_balancer(NO_RENEW)
        kernel, validator, traffic, _ = watched(farm, [(None, None)])
        show("renew off", kernel, validator, traffic)
        wrong += judge_control(kernel, validator, traffic)
        if wrong:
            print(farm.story())
    return wrong


def main():
    full = bool(os.environ.get("TFO_TEST_FULL"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binaries", metavar="BIN")
    parser.add_argument("--rotations", type=int, default=20 if full else 3)
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        print("needs root: it makes network namespaces", file=sys.stderr)
        return 77
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    wrong = run(arguments.binaries, plan(arguments.rotations, full))
    for fault in wrong:
        print(f"FAILED {fault}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
