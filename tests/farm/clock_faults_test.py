#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What honest clients notice when a node that shares keys by the clock has the wrong time, sleeps or
dies, and that all of it heals by itself. Through one balancer and three servers, clients ask for a
cookie and use it at once while one node's

  clock      is an hour ahead, an hour behind
  daemon     is stopped over a half-interval edge and goes on (what a suspended machine is to its
             keys: nobody acts, and time has passed), or is killed over one and started again

No connection may fail, whatever happens; when the fault is over, every cookie must be accepted again
within some seconds. How many lost their round trip meanwhile is counted and printed.

  clock_faults_test.py BIN [--fault NAME]...      BIN: the directory of tfod and tfoctl
"""
import argparse
import collections
import os
import signal
import sys
import threading
import time

from clocked_farm import Failed, Timing, clocked_farm

TIMING = Timing(interval=20, max_skew=0, accept_generations=4)
HOUR = 3600
ACTS_AFTER = 2  # seconds after an edge at which servers change their keys
HEALED = 10  # connections in a row with their data accepted
PATIENCE = 15  # seconds for that

Report = collections.namedtuple("Report", "fault during seconds_to_heal conditions")


def edge_passed(farm, started):
    """Has a half-interval edge been acted on since `started` (time.time())?"""
    half = TIMING.interval / 2
    return (time.time() - ACTS_AFTER) // half > (started - ACTS_AFTER) // half


def ask_and_use(farm):
    """One client without a cookie asks for one; what became of the connection that used it."""
    client = farm.new_client()
    asked = farm.dial(client)
    if asked != "asked":
        return f"failed {asked} while asking"
    return farm.dial(client)


def connect_until(farm, over, outcomes):
    while not over():
        outcomes[ask_and_use(farm)] += 1


def seconds_to_heal(farm, outcomes):
    started, row = time.monotonic(), 0
    while row < HEALED:
        outcome = ask_and_use(farm)
        outcomes[outcome] += 1
        row = row + 1 if outcome == "data" else 0
        if row == 1:
            healed = time.monotonic()
        if time.monotonic() - started > PATIENCE:
            raise Failed(f"not healed after {PATIENCE} s: {dict(outcomes)}\n" +
                         "\n".join(node.complain() for node in farm.nodes()))
    return healed - started


class Fault:
    """begin() and end() on a node; `over` says when to end it."""

    def __init__(self, name, begin, end):
        self.name, self.begin, self.end = name, begin, end

    def suffer(self, farm, node):
        during, started = collections.Counter(), time.time()
        self.begin(node)
        connect_until(farm, lambda: edge_passed(farm, started), during)
        conditions = self.conditions(farm, node)
        self.end(node)
        after = collections.Counter()
        seconds = seconds_to_heal(farm, after)
        failed = [outcome for outcome in during + after if outcome not in ("data", "refused")]
        if failed:
            raise Failed(f"{self.name} ({node.node}): connections failed: {failed}")
        return Report(f"{node.node}: {self.name}", during, seconds, conditions)

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


def suffer_all(binaries, role, names, answers):
    """Every fault on a node of that role, one after another on one farm."""
    try:
        with clocked_farm(binaries, TIMING, {"mode": "enforce", "renew": True}) as farm:
            for node in farm.nodes():
                node.start()
            seconds_to_heal(farm, collections.Counter())  # the farm is whole
            node = farm.balancer if role == "balancer" else farm.servers[0]
            answers[role] = [FAULTS[name].suffer(farm, node) for name in names]
    except Exception as error:  # pylint: disable=broad-except  (told by the thread that waits)
        answers[role] = error


def show(reports):
    print(f"{'fault':24} {'connections':>11} {'in the SYN':>10} {'refused':>7} {'healed in':>9}  conditions")
    for report in reports:
        total = sum(report.during.values())
        print(f"{report.fault:24} {total:11} {report.during['data']:10} {report.during['refused']:7} "
              f"{report.seconds_to_heal:7.1f} s  {' '.join(sorted(report.conditions))}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binaries", metavar="BIN")
    parser.add_argument("--fault", action="append", choices=list(FAULTS))
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        print("needs root: it makes network namespaces", file=sys.stderr)
        return 77
    answers = {}
    runs = [threading.Thread(target=suffer_all, args=(arguments.binaries, role, arguments.fault or list(FAULTS), answers))
            for role in ("server", "balancer")]
    for thread in runs:
        thread.start()
    for thread in runs:
        thread.join()
    wrong = [f"{role}: {answer}" for role, answer in answers.items() if isinstance(answer, Exception)]
    show([report for answer in answers.values() if not isinstance(answer, Exception) for report in answer])
    for fault in wrong:
        print(f"FAILED {fault}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
