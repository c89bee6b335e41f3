#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Rotation by the clock alone refuses nobody: clients with new cookies, with cookies one interval
old and with cookies ten intervals old keep opening connections through one balancer to three
servers, while the keys change at half-interval edges and every node's clock is off by up to
max_skew. No server's kernel may refuse a cookie (TCPFastOpenPassiveFail), no SYN may count
cookie_invalid. The same without renewal must fail, or the test could not.

  zero_miss_test.py BIN [--edges N]      BIN: the directory of tfod and tfoctl

TFO_TEST_FULL=1: 20 half-interval edges; otherwise 4.
"""
import argparse
import collections
import os
import sys
import threading
import time

from clocked_farm import Failed, Timing, clocked_farm

# The shortest interval that lets clocks be a second off: 2 * max_skew + 5 s is a quarter of it.
TIMING = Timing(interval=28, max_skew=1, accept_generations=13)
OLD = 10  # intervals
PACE = 0.25  # seconds between two rounds
OLD_EVERY = 2  # rounds: how often a client with a cookie of OLD intervals comes
REMEMBERING = (201, 250)  # the VIP's addresses for clients that come back after one interval
REMEMBERING_LONG = (1, 200)  # ... and for the old ones, which new ones must not drive out
# Each node's clock is off by up to max_skew: the servers differ by twice that.
CLOCKS = {"lb": 1, "s1": -1, "s2": 0.4, "s3": 1}


class Clients:
    """Connections of three kinds, and what came of them."""

    def __init__(self, farm):
        self.farm = farm
        self.results = collections.defaultdict(collections.Counter)
        self.remembering = collections.deque()  # (when, client) in order of time
        self.old = collections.defaultdict(collections.deque)  # by interval number of their cookie
        self.rounds = 0

    def prime(self, first, intervals):
        """Gives clients cookies of past intervals, minted by the very servers."""
        each = int(self.farm.timing.interval / PACE / OLD_EVERY * 1.1)
        for counter in range(first, first + intervals):
            self.farm.set_keys(counter)
            for _ in range(each):
                client = self.farm.new_client(*REMEMBERING_LONG)
                self.note("asking", self.farm.dial(client))
                self.old[counter].append(client)

    def note(self, kind, outcome):
        self.results[kind][outcome] += 1

    def round(self):
        now = time.time()
        client = self.farm.new_client(*REMEMBERING)
        self.note("asking", self.farm.dial(client))
        self.note("new cookie", self.farm.dial(client))
        self.remembering.append((now, client))
        if self.remembering[0][0] <= now - self.farm.timing.interval:
            _, client = self.remembering.popleft()
            self.note("one interval old", self.farm.dial(client))
        self.rounds += 1
        old = self.old[self.farm.counter(now) - OLD]
        if old and self.rounds % OLD_EVERY == 0:
            self.note("ten intervals old", self.farm.dial(old.popleft()))


def run(farm, edges):
    """The counts of servers and validator over `edges` half-interval edges, and the clients'."""
    clients = Clients(farm)
    half = farm.timing.interval // 2
    first = farm.counter(time.time()) - OLD
    clients.prime(first, edges // 2 + 3)
    for node in farm.nodes():
        node.set_clock(CLOCKS[node.node])
        node.start()
    kernel = farm.kernel()
    seen, now = set(), time.time()
    end = (now // half + edges) * half + half / 2
    while now < end:
        seen.add(int(now // half))
        started = time.monotonic()
        clients.round()
        time.sleep(max(0, PACE - (time.monotonic() - started)))
        now = time.time()
    difference = farm.kernel()
    difference.subtract(kernel)
    return difference, farm.validator(), clients.results, len(seen) - 1


def faults(kernel, validator, results):
    """Why this run is not one in which nobody was refused."""
    wrong = [f"{name}: {kernel[name]}" for name in ("TCPFastOpenPassiveFail", "TCPFastOpenListenOverflow")
             if kernel[name]]
    wrong += [f"{name}: {validator[name]}" for name in ("cookie_invalid", "no_key", "internal_error")
              if validator[name]]
    for kind, outcomes in results.items():
        for outcome, number in outcomes.items():
            # A client whose kernel has forgotten the cookie asks again: no fault of the farm's.
            if outcome != "asked" and (outcome != "data" or kind == "asking"):
                wrong.append(f"{kind}: {number} times {outcome}")
    return wrong


def proves_nothing(kernel, validator, results, edges):
    """What did not happen, and had to."""
    few = [f"{kind}: {results[kind]['data']} connections" for kind in
           ("new cookie", "one interval old", "ten intervals old") if results[kind]["data"] < 5 * edges]
    few += [name for name in ("cookie_current", "cookie_previous", "cookie_retired") if not validator[name]]
    few += [name for name in ("TCPFastOpenPassive", "TCPFastOpenPassiveAltKey") if not kernel[name]]
    return few


def show(title, kernel, validator, results, edges):
    print(f"{title}: {edges} half-interval edges")
    for kind, outcomes in results.items():
        print(f"  {kind:20}", ", ".join(f"{number} {outcome}" for outcome, number in outcomes.items()))
    print("  validator:", ", ".join(f"{name} {number}" for name, number in validator.items() if number))
    print("  servers:", ", ".join(f"{name} {number}" for name, number in kernel.items() if number), flush=True)


def scenario(binaries, title, vip, edges, answers, stories):
    try:
        with clocked_farm(binaries, TIMING, vip) as farm:
            answers[title] = run(farm, edges)
            stories[title] = farm.balancer.complain()
    except Exception as error:  # pylint: disable=broad-except  (told by the thread that waits)
        answers[title] = error


def judge_all(answers):
    wrong = [f"{title}: {error}" for title, error in answers.items() if isinstance(error, Exception)]
    if wrong:
        return wrong
    for title, counts in answers.items():
        show(title, *counts)
    kernel, validator, results, edges = answers["renew on"]
    wrong += [f"renew on: {fault}" for fault in faults(kernel, validator, results)]
    wrong += [f"renew on: too little of {few}" for few in proves_nothing(kernel, validator, results, edges)]
    if not validator["did renew"]:
        wrong.append("renew on: nothing was renewed")
    kernel, validator, results, _ = answers["renew off"]
    if not kernel["TCPFastOpenPassiveFail"] or not results["ten intervals old"]["refused"]:
        wrong.append("renew off: nobody was refused, so the other run proves nothing")
    if validator["did renew"]:
        wrong.append("renew off: something was renewed")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binaries", metavar="BIN")
    parser.add_argument("--edges", type=int, default=20 if os.environ.get("TFO_TEST_FULL") else 4)
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        print("needs root: it makes network namespaces", file=sys.stderr)
        return 77
    answers, stories = {}, {}
    runs = [threading.Thread(target=scenario, args=(arguments.binaries, title, vip, arguments.edges, answers, stories))
            for title, vip in (("renew on", {"mode": "enforce", "renew": True}),
                               ("renew off", {"mode": "enforce", "renew": False}))]
    for thread in runs:
        thread.start()
    for thread in runs:
        thread.join()
    wrong = judge_all(answers)
    for fault in wrong:
        print(f"FAILED {fault}")
    if wrong:
        print(stories.get("renew on", ""))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
