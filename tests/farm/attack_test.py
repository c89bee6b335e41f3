#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Honest clients under attack, without us and with us: one table. Every row is a farm of its own with
two servers whose listeners take 128 half-open Fast Open connections; 100 honest clients with cookies,
each in a prefix of its own, connect all along.

  attack_test.py BIN [--only ROW] [--seconds N]      BIN: the directory of tfod and tfoctl

TFO_TEST_FULL=1: 60 seconds a row; otherwise 6. Exit 0 if every row with us holds its bar and every row
without us shows what the attack does; 77: not root.
"""
import argparse
import collections
import os
import sys

from attack_farm import ATTACKERS, Failed, attack_farm, guarded

# The policy under test, as shipped but for what the operator has to say: enforce, and what the servers
# take (Fast Open queues of 256 in all, backlogs of 1022), since none of them runs on the balancer: an
# eighth of the queues for one client network, half of them for all, backlogs / 20 unproven SYNs a second.
SHIPPED = {"mode": "enforce", "guard": {"limit": 32, "vip_limit": 128}, "unproven_rate": 51}
STOLEN = ("--cookie", "valid", "--from", ATTACKERS)

# flood: arguments of the attacker. resets: its addresses answer. policy: of the row with us; least: the
# share of honest tries whose data must be accepted with us; most: ... at most without us.
Row = collections.namedtuple("Row", "name flood resets policy least most")
ROWS = [
    Row("quiet", None, False, SHIPPED, 0.99, 1.0),
    Row("stolen, silent", (*STOLEN, "--rate", "100"), False, SHIPPED, 0.99, 0.9),
    Row("stolen, silent, no data", (*STOLEN, "--rate", "100", "--no-data"), False, SHIPPED, 0.99, 0.9),
    Row("stolen, resets", (*STOLEN, "--rate", "100"), True, SHIPPED, 0.99, 0.9),
    Row("stolen, guessed ACKs", (*STOLEN, "--rate", "200", "--acks", "5"), False, SHIPPED, 0, 0.9),
    Row("stolen, hopping", (*STOLEN, "--rate", "200", "--prefixes", "200"), False, SHIPPED, 0.99, 0.9),
    Row("forged", ("--cookie", "forged", "--from", ATTACKERS, "--prefixes", "256", "--rate", "500000"), False,
        SHIPPED | {"on_invalid": "drop"}, 0.995, 0.5),
    Row("plain flood, retry", ("--cookie", "none", "--no-data", "--from", ATTACKERS, "--prefixes", "256",
                               "--rate", "20000"), False, SHIPPED | {"protect_syn_queue": "retry"}, 0.99, 0.5),
]

Result = collections.namedtuple("Result", "honest attack kernel")


def percentile(times, share):
    return times[min(len(times) - 1, int(len(times) * share))] * 1000


def run(binaries, row, policy, seconds):
    with attack_farm(binaries) as farm, guarded(farm, policy):
        # Honest clients were there before anybody attacked.
        farm.browse(1, 0.01)
        before = farm.kernel()
        if row.flood is None:
            honest, attack = farm.browse(seconds, 0.025), {"syns": 0, "seconds": seconds}
        else:
            flood = row.flood + (("--key-file", str(farm.key_file)) if "valid" in row.flood else ())
            # The attack alone first: its effect must be there before the honest ones are counted.
            with farm.resets(row.resets), farm.attacked(*flood) as attack:
                farm.browse(2, 0.025)
                honest = farm.browse(seconds, 0.025)
        kernel = farm.kernel()
        kernel.subtract(before)
        return Result(honest, attack, kernel)


HEAD = (f"{'attack':26}{'':9}{'SYN/s':>9}{'tries':>7}{'accepted':>9}{'failed':>7}{'p50 ms':>8}{'p99 ms':>8}"
        f"{'overflow':>9}{'cookies':>9}")


def show(row, who, result):
    outcomes, times = result.honest
    tries = sum(outcomes.values())
    failed = sum(number for answer, number in outcomes.items() if answer.startswith("failed"))
    print(f"{row.name:26}{who:9}{result.attack['syns'] / result.attack['seconds']:9.0f}{tries:7}"
          f"{outcomes['data'] / tries:9.2%}{failed:7}{percentile(times, 0.5):8.2f}{percentile(times, 0.99):8.2f}"
          f"{result.kernel['TCPFastOpenListenOverflow']:9}{result.kernel['TCPReqQFullDoCookies']:9}", flush=True)
    return outcomes["data"] / tries


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binaries", metavar="BIN")
    parser.add_argument("--only", metavar="ROW", help="rows whose name begins so")
    parser.add_argument("--seconds", type=int, default=60 if os.environ.get("TFO_TEST_FULL") else 6)
    parser.add_argument("--without", action="store_true", help="only without us")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        print("needs root: it makes network namespaces", file=sys.stderr)
        return 77
    wrong = []
    print(HEAD, flush=True)
    for row in ROWS:
        if arguments.only and not row.name.startswith(arguments.only):
            continue
        try:
            share = show(row, "without", run(arguments.binaries, row, None, arguments.seconds))
            if share > row.most:
                wrong.append(f"{row.name}: without us {share:.1%} are accepted all the same: this proves nothing")
            if arguments.without:
                continue
            share = show(row, "with", run(arguments.binaries, row, row.policy, arguments.seconds))
            if share < row.least:
                wrong.append(f"{row.name}: with us {share:.2%} are accepted, not {row.least:.1%}")
        except Failed as error:
            wrong.append(f"{row.name}: {error}")
    for fault in wrong:
        print(f"FAILED {fault}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
