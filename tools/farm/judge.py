#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Compares what the validator counted with what the servers' kernels counted.

  judge.py STATS COUNTERS ACTIVE

STATS: `tfoctl stats -j`. COUNTERS: `farm counters`, of servers that counted nothing before the
validator began. ACTIVE: connections whose SYN data was accepted, by the clients' own count.
Prints what an operator wants to know; exit 1 if one SYN was judged otherwise than by its server.
"""
import collections
import json
import sys

# What a server's kernel makes of each class of SYN that reaches its listener (tcp_try_fastopen and
# tcp_fastopen_cookie_gen_check of net/ipv4/tcp_fastopen.c): the counter that moves.
ASKED = ("request",)
ACCEPTED = ("cookie_current", "cookie_previous", "cookie_staged")
BACKUP = ("cookie_previous", "cookie_staged")
REFUSED = ("cookie_retired", "cookie_revoked", "cookie_invalid", "cookie_length")

SENTENCES = {
    "request": "asked for a cookie",
    "cookie_current": "cookie under the current key",
    "cookie_previous": "cookie under the previous key",
    "cookie_staged": "cookie under the next key",
    "cookie_retired": "cookie under a key that the servers no longer hold",
    "cookie_invalid": "cookie that no key made",
    "plain": "no Fast Open",
}


def reasons(stats):
    """Counts by reason, summed over the VIPs of `tfoctl stats -j`."""
    total = collections.Counter()
    for vip in stats["vips"]:
        total.update(vip["reasons"])
    return total


def count(classes, names):
    return sum(classes.get(name, 0) for name in names)


def comparisons(classes, kernel):
    """(what, by the validator, by the servers)."""
    return [
        ("cookies asked for", count(classes, ASKED), kernel["TCPFastOpenCookieReqd"]),
        ("cookies accepted", count(classes, ACCEPTED), kernel["TCPFastOpenPassive"]),
        ("cookies refused", count(classes, REFUSED), kernel["TCPFastOpenPassiveFail"]),
    ]


def report(classes, kernel, active):
    print("Handshakes by class, as the validator judged them in XDP:")
    for name, number in classes.most_common():
        if number:
            print(f"  {number:7}  {name:16} {SENTENCES.get(name, '')}".rstrip())
    print()
    print("The same, counted by the servers' kernels:".ljust(44) + f"{'validator':>10}{'servers':>10}")
    misjudged = 0
    for what, ours, theirs in comparisons(classes, kernel):
        misjudged += abs(ours - theirs)
        print(f"  {what:42}{ours:10}{theirs:10}")
    print()
    total = sum(classes.values())
    print(f"  misjudged: {misjudged} of {total} handshakes")
    print(f"  round trips saved: {active} (requests that arrived with the SYN: one each)")
    return misjudged


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as stats, open(sys.argv[2], encoding="utf-8") as counters:
        misjudged = report(reasons(json.load(stats)), json.load(counters)["total"], int(sys.argv[3]))
    sys.exit(1 if misjudged else 0)


if __name__ == "__main__":
    main()
