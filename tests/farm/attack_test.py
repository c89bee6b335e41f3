#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Honest clients under attack, without us and with us: one table. Every row is a farm of its own with
two servers whose listeners take 128 half-open Fast Open connections; 100 honest clients with cookies,
each in a prefix of its own, connect all along, and where it says "new" as many tries again come from
clients that nobody has seen before.

  attack_test.py BIN [--only ROW] [--seconds N]      BIN: the directory of tfod and tfoctl

TFO_TEST_FULL=1: 60 seconds a row and some of 200, at least 2,000 tries against each attack, and as many SYNs
a second as its row says; otherwise 4 seconds. Exit 0 if every row with us holds its bar and every row
without us shows what the attack does; 77: not root.
"""
import argparse
import concurrent.futures
import os
import sys

from attack_rows import ROWS, accepted, failures, percentile, run, share
from client_farm import Failed

FULL = bool(os.environ.get("TFO_TEST_FULL"))
TRIES = 2000  # honest ones of a row, in the long form
AT_ONCE = 3  # farms of rows that leave the machine mostly idle

HEAD = (f"{'attack':27}{'':9}{'SYN/s':>8}{'tries':>7}{'accepted':>9}{'new':>8}{'failed':>7}{'p50 ms':>8}{'p99 ms':>8}"
        f"{'overflow':>9}{'cookies':>9}")


def rate_of(result):
    return result.attack["syns"] / result.attack["seconds"] if result.attack else 0


def show(row, with_us, result):
    line = f"{row.name:27}{'with' if with_us else 'without':9}{rate_of(result):8.0f}"
    if result.honest:
        times = result.honest.seconds
        line += (f"{len(times):7}{share(result.honest.outcomes):9.2%}"
                 f"{f'{share(result.honest.newcomers):.2%}' if row.new else '':>8}{failures(result.honest):7}"
                 f"{percentile(times, 0.5):8.2f}{percentile(times, 0.99):8.2f}")
    else:
        line += f"{'':47}"
    line += f"{result.kernel['TCPFastOpenListenOverflow']:9}{result.kernel['TCPReqQFullDoCookies']:9}"
    print(f"{line}  {result.note}".rstrip(), flush=True)


def faults_of(row, with_us, result):
    if not with_us and result.honest and accepted(result.honest) > row.most:
        return [f"{accepted(result.honest):.1%} are accepted all the same: this proves nothing"]
    return result.faults + (too_little(row, with_us, result) if FULL else [])


def too_little(row, with_us, result):
    """What was not enough to show anything."""
    faults = []
    if with_us and row.least and len(result.honest.seconds) < TRIES:
        faults.append(f"{len(result.honest.seconds)} honest tries, not {TRIES}")
    # Without us every SYN costs the servers' cores, on which it is made, so there are fewer.
    if with_us and rate_of(result) < row.fastest:
        faults.append(f"the attack sent {rate_of(result):.0f} SYNs a second, not {row.fastest}")
    return faults


def runs_of(rows, arguments):
    """(row, with us) in the table's order."""
    for row in rows:
        if (row.most is not None and (FULL or not row.like)) or row.kind == "duplicates":
            yield row, False
        if not arguments.without:
            yield row, True


def table(rows, arguments):
    """Prints it, what is wrong with a row below it; all that is wrong."""
    wrong = []
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        def start(row, with_us):
            return pool.submit(run, arguments.binaries, row, with_us, arguments.seconds)

        runs = list(runs_of(rows, arguments))
        begun = {(row.name, with_us): start(row, with_us) for row, with_us in runs if not row.loud}
        for row, with_us in runs:
            mine = begun.get((row.name, with_us))
            if mine is None:
                # So that nobody is counted against the others.
                concurrent.futures.wait(begun.values())
                mine = start(row, with_us)
            try:
                result = mine.result()
                show(row, with_us, result)
                faults = faults_of(row, with_us, result)
            except Failed as error:
                faults = [str(error)]
            for fault in faults:
                print(f"FAILED {row.name}, {'with' if with_us else 'without'} us: {fault}", flush=True)
            wrong += faults
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binaries", metavar="BIN")
    parser.add_argument("--only", metavar="ROW", help="rows whose name begins so")
    parser.add_argument("--seconds", type=int, default=60 if FULL else 4)
    parser.add_argument("--without", action="store_true", help="only without us")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        print("needs root: it makes network namespaces", file=sys.stderr)
        return 77
    print(HEAD, flush=True)
    rows = [row for row in ROWS if row.name.startswith(arguments.only or "")
            and (FULL or row.name == arguments.only or not row.lasts)]
    return 1 if table(rows, arguments) else 0


if __name__ == "__main__":
    sys.exit(main())
