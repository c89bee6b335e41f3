#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What honest clients notice when a node that shares keys by the clock has the wrong time, sleeps or
dies, and that all of it heals by itself. Through one balancer and three servers, clients ask for a
cookie and use it at once while one node's

  clock      is an hour ahead, an hour behind
  daemon     is stopped over a half-interval edge and goes on (what a suspended machine is to its
             keys: nobody acts, and time has passed), or is killed over one and started again

No connection may fail, whatever happens; when the fault is over, newcomers' cookies must be accepted
again within some seconds, and nobody be refused more than once. How many lost their round trip
meanwhile is counted and printed; where only a daemon sleeps or dies, or only the balancer's clock is
wrong, it must be none.

  clock_faults_test.py BIN [--fault NAME]...      BIN: the directory of tfod and tfoctl
"""
import argparse
import collections
import math
import os
import signal
import sys
import threading
import time

from clocked_farm import Failed, Timing, clocked_farm, wait_for

TIMING = Timing(interval=24, max_skew=0, accept_generations=4)
HOUR = 3600
ACTS_AFTER = 2  # seconds after an edge at which servers change their keys
LEAST = 3  # seconds that a fault lasts before servers act on an edge
AFTERWARDS = 1  # and after it
DIALING = 2  # seconds before these in which a quick machine gives all holders their cookies
TRIES = 8
HEALED = 40  # connections in a row with their data accepted: with one server of three wrong, 5 of 9 are
PATIENCE = 15  # seconds for that

PACE = 0.03  # seconds between two rounds
SYN_TIMEOUT = 1  # second, until a SYN is sent again (TCP_TIMEOUT_INIT)
HOLDER_COUNT = 300 if os.environ.get("TFO_TEST_FULL") else 60  # clients with a cookie of before the fault
HOLDERS = (1, 200)  # the VIP's addresses that they come to
NEWCOMERS = (201, 250)

Report = collections.namedtuple("Report", "fault during seconds_to_heal refused_after conditions")


def acts_next(moment):
    """When servers change their keys next (time.time())."""
    half = TIMING.interval / 2
    return math.ceil((moment - ACTS_AFTER) / half) * half + ACTS_AFTER


class Clients:
    """Those who come for the first time, ask for a cookie and use it at once; and those who got theirs
    before the fault and come again."""

    def __init__(self, farm):
        self.farm = farm
        self.holders = collections.deque(farm.new_client(*HOLDERS) for _ in range(HOLDER_COUNT))
        for at, client in enumerate(self.holders):
            while not self.asks(client):
                self.holders[at] = client = farm.new_client(*HOLDERS)

    def dial(self, client, *expected):
        outcome = self.farm.dial(client)
        if outcome not in expected:
            raise Failed(f"a connection {outcome} instead of {' or '.join(expected)}")
        return outcome

    def asks(self, client):
        """Without a cookie yet. False: its SYN was lost, and a SYN that is sent again asks for none
        (tcp_send_syn_data())."""
        outcome, seconds = self.farm.dialer.timed(*client, self.farm.port)
        if outcome != "asked":
            raise Failed(f"a connection {outcome} instead of asked")
        return seconds < SYN_TIMEOUT

    def newcomer(self):
        client = self.farm.new_client(*NEWCOMERS)
        return self.dial(client, "data", "refused", "repeated") if self.asks(client) else "repeated"

    def holder(self):
        self.holders.rotate()
        return self.dial(self.holders[0], "data", "refused", "repeated")

    def connect_until(self, over):
        outcomes = collections.Counter()
        while not over():
            started = time.monotonic()
            outcomes["newcomer " + self.newcomer()] += 1
            outcomes["holder " + self.holder()] += 1
            time.sleep(max(0, PACE - (time.monotonic() - started)))
        return outcomes

    def seconds_to_heal(self):
        """Until newcomers keep being accepted."""
        started, row = time.monotonic(), 0
        while row < HEALED:
            row = row + 1 if self.newcomer() == "data" else 0
            if row == 1:
                healed = time.monotonic()
            if time.monotonic() - started > PATIENCE:
                raise Failed(f"not healed after {PATIENCE} s\n" + "\n".join(n.complain() for n in self.farm.nodes()))
        return healed - started

    def still_refused(self, until):
        """Holders who had a foreign cookie are refused once more, and get a good one with that. Asked until
        the servers act on the next edge: a node whose clock was wrong renews nothing for an interval."""
        def refused():
            return sum(self.holder() == "refused" for _ in range(HOLDER_COUNT) if time.time() < until)

        first, again = refused(), refused()
        if again:
            raise Failed(f"{again} clients were refused twice after the fault was over")
        return first


def clients_between_edges(farm):
    """(clients, when a fault ends): their cookies are of since the servers acted on the last half-interval
    edge, and there are LEAST seconds until the next one, so that the fault is over one edge. Whose keys or
    cookies are two edges old may rightly be refused."""
    def settled():
        now = time.time()
        return acts_next(now) - now >= LEAST + DIALING and all(
            farm.held_by(server) == farm.held_at(now - ACTS_AFTER) for server in farm.servers)

    for _ in range(TRIES):
        wait_for("the servers to act on an edge", settled, patience=3 * TIMING.interval)
        edge = acts_next(time.time())
        clients = Clients(farm)
        if edge - time.time() >= LEAST:
            return clients, edge + AFTERWARDS
    raise Failed(f"too slow a machine: {HOLDER_COUNT} clients did not get their cookies between two edges")


class Fault:
    """begin() and end() on a node; it lasts over a half-interval edge."""

    def __init__(self, name, begin, end):
        self.name, self.begin, self.end = name, begin, end

    def suffer(self, farm, node):
        clients, until = clients_between_edges(farm)
        self.begin(node)
        during = clients.connect_until(lambda: time.time() >= until)
        conditions = self.conditions(farm, node)
        self.end(node)
        seconds = clients.seconds_to_heal()
        return Report(f"{node.node}: {self.name}", during, seconds, clients.still_refused(acts_next(until)), conditions)

    @staticmethod
    def conditions(farm, node):
        able = [node] if node.process.poll() is None and not stopped(node) else []
        others = [other for other in farm.nodes() if other is not node]
        return {f"{other.node}:{name}" for other in able + others for name in other.conditions()}


def stopped(node):
    with open(f"/proc/{node.process.pid}/stat", encoding="ascii") as stat:
        return stat.read().rsplit(")", 1)[1].split()[0] == "T"


FAULTS = {fault.name: fault for fault in (
    Fault("an hour ahead", lambda node: node.set_clock(HOUR), lambda node: node.set_clock(0)),
    Fault("an hour behind", lambda node: node.set_clock(-HOUR), lambda node: node.set_clock(0)),
    Fault("stopped", lambda node: node.process.send_signal(signal.SIGSTOP),
          lambda node: node.process.send_signal(signal.SIGCONT)),
    Fault("killed", lambda node: node.kill(), lambda node: node.start()),
)}
# A server whose clock is right never refuses anybody, whatever its daemon does for half an interval.
HARMLESS = {("server", "stopped"), ("server", "killed")} | {("balancer", name) for name in FAULTS}


def suffer_all(binaries, role, names, answers):
    """Every fault on a node of that role, one after another on one farm."""
    try:
        with clocked_farm(binaries, TIMING, {"mode": "enforce", "renew": True}) as farm:
            for node in farm.nodes():
                node.start()
            Clients(farm).seconds_to_heal()  # the farm is whole
            node = farm.balancer if role == "balancer" else farm.servers[0]
            answers[role] = [FAULTS[name].suffer(farm, node) for name in names]
    except Exception as error:  # pylint: disable=broad-except  (told by the thread that waits)
        answers[role] = error


MOST_REPEATED = 0.01  # of all, or LOST: a SYN that was sent again says nothing of cookies
LOST = 3


def refused(report):
    return report.during["newcomer refused"] + report.during["holder refused"] + report.refused_after


def repeated(report):
    return report.during["newcomer repeated"] + report.during["holder repeated"]


def judge(role, name, report):
    if repeated(report) > max(LOST, MOST_REPEATED * report.during.total()):
        return [f"{report.fault}: {repeated(report)} SYNs were sent again"]
    if (role, name) in HARMLESS and refused(report):
        return [f"{report.fault}: {refused(report)} connections were refused"]
    if (role, name) not in HARMLESS and not (refused(report) and report.conditions):
        return [f"{report.fault}: nobody was refused or no condition was raised, so this shows nothing"]
    return []


def show(reports):
    print("refused of those who came while the fault lasted, and once after it; nobody failed to connect")
    print(f"{'fault':22} {'newcomers':>12} {'cookie holders':>16} {'after':>6} {'healed in':>10}  conditions")
    for report in reports:
        newcomers, holders = (
            f"{report.during[who + ' refused']}/{report.during[who + ' refused'] + report.during[who + ' data']}"
            for who in ("newcomer", "holder"))
        print(f"{report.fault:22} {newcomers:>12} {holders:>16} {report.refused_after:6} "
              f"{report.seconds_to_heal:8.2f} s  {' '.join(sorted(report.conditions))}"
              f"{f' ({repeated(report)} SYNs were sent again)' if repeated(report) else ''}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binaries", metavar="BIN")
    parser.add_argument("--fault", action="append", choices=list(FAULTS))
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        print("needs root: it makes network namespaces", file=sys.stderr)
        return 77
    answers, names = {}, arguments.fault or list(FAULTS)
    runs = [threading.Thread(target=suffer_all, args=(arguments.binaries, role, names, answers))
            for role in ("server", "balancer")]
    for thread in runs:
        thread.start()
    for thread in runs:
        thread.join()
    wrong = [f"{role}: {answer}" for role, answer in answers.items() if isinstance(answer, Exception)]
    done = {role: answer for role, answer in answers.items() if not isinstance(answer, Exception)}
    show([report for reports in done.values() for report in reports])
    for role, reports in done.items():
        wrong += [fault for name, report in zip(names, reports) for fault in judge(role, name, report)]
    for fault in wrong:
        print(f"FAILED {fault}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
