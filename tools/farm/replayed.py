#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Compares what the program counted live with what the replay of a capture counted.

  replayed.py BEFORE AFTER REPLAY

BEFORE, AFTER: `tfoctl stats -j` around the capture. REPLAY: `tfoctl replay -j` of it with the same
configuration. Compares every (VIP, reason, option, data). Exit 1 if one count differs.
"""
import collections
import json
import sys


def cells(document):
    counts = collections.Counter()
    for vip in document["vips"]:
        for cell in vip["cells"]:
            key = (vip["name"], cell["reason"], cell["option"], cell["data"])
            counts[key] += cell["count"]
    return counts


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    before, after, replay = [json.load(open(name, encoding="utf-8")) for name in sys.argv[1:]]
    live = cells(after)
    live.subtract(cells(before))
    live = +live
    replayed = cells(replay)
    for key in sorted(live.keys() | replayed.keys()):
        if live[key] != replayed[key]:
            print(f"  {key}: {live[key]} live, {replayed[key]} replayed")
    same = sum((live & replayed).values())
    print(f"  {same} of {sum(live.values())} SYNs to the VIPs count the same live and replayed")
    sys.exit(0 if live == replayed and same else 1)


main()
