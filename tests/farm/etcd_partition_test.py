#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Nodes that lose etcd for longer than a rotation, with kernels as clients: a balancer that renews and a server
are cut off while the farm wants to rotate. They go on serving the right classes by what they know, say what is
wrong, stop renewing only past fresh_for, stop offering Fast Open only past not_after, and are back by
themselves.

  etcd_partition_test.py BIN      BIN: the directory of tfod and tfoctl
"""
import collections
import contextlib
import os
import signal
import sys
import time

from client_farm import POOL, Failed
from etcd_client_farm import etcd_client_farm, wait_for

FRESH_FOR = 30  # seconds
DEADLINE = 2
POLICY = {"deadline": f"{DEADLINE}s", "forget_after": "5m", "fresh_for": f"{FRESH_FOR}s", "accept_generations": 4}
LIFE = 18  # seconds, of keys in the last part
EACH = 12  # connections for one look at a class
HOLDERS = 60  # clients of each generation
COOKIES = ("oldest", "older", "current")


def check(truth, what):
    if not truth:
        raise Failed(what)


@contextlib.contextmanager
def cut_off(farm, *nodes):
    """etcd's answers do not reach these nodes, as if the network between them had fallen silent."""
    for node in nodes:
        farm.exec("net", "ip", "route", "add", "blackhole", farm.info["nodes"][node]["address4"])
    try:
        yield
    finally:
        for node in nodes:
            farm.exec("net", "ip", "route", "del", "blackhole", farm.info["nodes"][node]["address4"])


class Clients:
    """Holders of cookies of three generations, and what becomes of their connections."""

    def __init__(self, farm):
        self.farm = farm
        self.holders = {kind: collections.deque() for kind in COOKIES}

    def prime(self):
        """Clients of three generations, two rotations."""
        for number, kind in enumerate(COOKIES):
            if number:
                self.farm.balancer.rotate()
                wait_for("a rotation", lambda want=number + 1: self.generations() >= want, self.farm.story)
                self.farm.wait_settled(self.farm.balancer)
            fresh = [self.farm.new_client(80 * number + 1, 80 * number + 80) for _ in range(HOLDERS)]
            outcomes = collections.Counter(self.farm.dial(client) for client in fresh)
            check(outcomes == {"asked": HOLDERS}, f"clients without a cookie: {outcomes}")
            self.holders[kind].extend(fresh)

    def generations(self):
        status = self.farm.balancer.farm_status()
        return len(status["generations"]) if status["state"] == "steady" else 0

    def dial(self, kind):
        """Outcomes of some connections of that kind, and what validator and servers counted."""
        kernel, validator = self.farm.kernel(), self.farm.validator()
        outcomes = collections.Counter()
        for _ in range(EACH):
            if kind == "new":
                client = self.farm.new_client(241, 250)
                check(self.farm.dial(client) == "asked", "a client without a cookie was not given one")
            else:
                client = self.holders[kind].popleft()
            outcomes[self.farm.dial(client)] += 1
        validator_after, kernel_after = self.farm.validator(), self.farm.kernel()
        return outcomes, validator_after - validator, kernel_after - kernel

    def expect_accepted(self, *kinds, renewed=()):
        """Nobody of these is refused, and those in `renewed` are renewed."""
        for kind in kinds:
            outcomes, validator, kernel = self.dial(kind)
            check(outcomes == {"data": EACH}, f"{kind}: {outcomes}, {+validator}\n{self.farm.story()}")
            check(kernel["TCPFastOpenPassiveFail"] == 0 and validator["cookie_invalid"] == 0, f"{kind}: {+validator}")
            if kind in renewed:
                check(validator["did renew"] == EACH, f"{kind} was not renewed: {+validator}")


def tells(node, condition, *words):
    """The condition is raised with these words, and the journal has it."""
    wait_for(f"{condition} at {node.node} with {words}", lambda: all(word in node.evidence(condition) for word in words)
             and node.evidence(condition), lambda: f"{node.conditions()}\n{node.complain()}")
    check(f"condition raised: {condition} {POOL}" in node.log_text(), f"no {condition} in the journal of {node.node}")


def is_content(node, *conditions):
    for condition in conditions:
        wait_for(f"the end of {condition} at {node.node}", lambda one=condition: not node.evidence(one), node.complain)
        check(f"condition cleared: {condition} {POOL}" in node.log_text(), f"no end of {condition} in the journal")


def other_leader(farm, *nodes):
    """The leader, once it is none of these."""
    def leader():
        return farm.servers[2].farm_status()["leader"]
    wait_for("another leader", lambda: leader() not in ("", *nodes), farm.story)
    return farm.node(leader())


def test_rotation_is_held(farm, clients):
    """Balancer and a server are away: the rotation waits, nobody is refused; past fresh_for nothing is renewed."""
    lb, s1 = farm.balancer, farm.servers[0]
    with cut_off(farm, "lb", "s1"):
        cut = time.monotonic()
        farm.servers[1].rotate()
        clients.expect_accepted("oldest", "new", renewed=("oldest",))
        for node in (lb, s1):
            tells(node, "store_unreachable", "etcd")
        clients.expect_accepted("oldest", "older", "current", "new", renewed=("oldest",))
        check(time.monotonic() - cut < FRESH_FOR - 2, "too slow a machine")
        check("ring_stale" not in lb.conditions(), "stale before its time")
        tells(lb, "ring_stale", f"{FRESH_FOR} s")
        passed = time.monotonic() - cut
        check(passed > FRESH_FOR * 15 / 16 - 3, f"stale {passed:.1f} s after the cut")
        leader = other_leader(farm, "lb", "s1")
        tells(leader, "rotation_held", "lb", "s1")
        tells(leader, "straggler", "lb", "s1")
        check(leader.farm_status()["state"] == "prepare", "not held")
        # What every server holds is accepted as ever; what would be renewed passes as it is.
        clients.expect_accepted("older", "current", "new")
        outcomes, validator, kernel = clients.dial("oldest")
        check(outcomes == {"refused": EACH} and kernel["TCPFastOpenPassiveFail"] == EACH, f"{outcomes}, {+validator}")
        check(validator["did renew"] == 0 and validator["cookie_retired"] == EACH, f"{+validator}")
        check(s1.evidence("ring_stale") == "", "a server without packets to validate says ring_stale")
    farm.wait_settled(farm.servers[2])
    wait_for("the rotation to end", lambda: clients.generations() > 3, farm.story)
    is_content(lb, "store_unreachable", "ring_stale")
    is_content(s1, "store_unreachable")
    is_content(leader, "rotation_held", "straggler")
    clients.expect_accepted("oldest", "older", "new", renewed=("oldest", "older"))


def test_rotation_goes_on(farm, clients):
    """A server is away from before the new key is staged: past the deadline the others mint with it, and the
    balancer renews what that server lacks the key for."""
    farm.change_pool({"at_deadline": "go_on"})
    leader = farm.balancer.farm_status()["leader"]
    late, held = [server for server in farm.servers if server.node != leader][:2]
    others = [node for node in farm.nodes() if node not in (late, held)]
    held.freeze()
    others[0].rotate()
    wait_for("prepare", lambda: farm.is_acked(farm.balancer, "prepare", [*others, late]), farm.story)
    with cut_off(farm, late.node):
        held.thaw()
        wait_for("minting without it", lambda: farm.is_acked(farm.balancer, "minting", [*others, held]), farm.story)
        tells(farm.node(farm.balancer.farm_status()["leader"]), "straggler", late.node)
        clients.expect_accepted("new", "new", "current", "older")
        check(farm.balancer.farm_status()["state"] == "minting", "it went on without the one that is missing")
        tells(late, "store_unreachable", "etcd")
    wait_for("the rotation to end", lambda: farm.is_acked(farm.balancer, "steady", farm.nodes()), farm.story)
    events = [event["what"] for event in farm.balancer.farm_status()["events"]]
    check(any(f"goes on without {late.node}" in what for what in events), str(events))
    is_content(late, "store_unreachable")
    clients.expect_accepted("new", "current")


def test_keys_end(farm, clients):
    """Away for longer than the keys live: the balancer validates with none of them, the server stops offering, also
    after a restart, and both are back by themselves."""
    farm.change_pool({"interval": f"{LIFE}s", "not_after": f"{LIFE}s", "at_deadline": "hold"})
    lb = farm.balancer
    wait_for("keys that end", lambda: all(one["not_after"] for one in lb.farm_status()["generations"]), farm.story)
    farm.wait_settled(lb)
    s1 = next(server for server in farm.servers if server.node != lb.farm_status()["leader"])

    def offers():
        return bool(int(farm.exec(s1.node, "sysctl", "-n", "net.ipv4.tcp_fastopen")) & 2)
    with cut_off(farm, "lb", s1.node):
        wait_for("the end of the keys at the balancer", lambda: lb.evidence("no_key"), farm.story)
        wait_for("the server to stop", lambda: not offers(), farm.story)
        wait_for("a word about it", lambda: "past its not_after" in s1.evidence("server_off"), s1.complain)
        before = farm.validator()
        outcome = farm.dial(clients.holders["current"].popleft())
        counted = farm.validator() - before
        check(outcome in ("data", "refused") and counted["no_key"] == 1 and counted["cookie_invalid"] == 0,
              f"{outcome}: {+counted}")
        s1.kill()
        s1.start()
        wait_for("a server that knows that it is late", lambda: s1.evidence("no_key"), s1.complain)
        check(not offers(), "a server offers with a key past its end")
    wait_for("the server to offer again", offers, farm.story)
    wait_for("all to be members again", lambda: {member["node"] for member in lb.farm_status()["members"]
                                                 if member["live"]} == {node.node for node in farm.nodes()}, farm.story)
    wait_for("keys", lambda: not lb.evidence("no_key") and not s1.evidence("no_key"), farm.story)
    check(f"condition cleared: no_key {POOL}" in lb.log_text(), "no end of no_key in the journal")
    farm.change_pool({"interval": "1h", "not_after": "2h"})
    clients.expect_accepted("new")


def run(binaries):
    with etcd_client_farm(binaries, {"mode": "enforce", "renew": True}, pool=POLICY) as farm:
        clients = Clients(farm)
        clients.prime()
        for test in (test_rotation_is_held, test_rotation_goes_on, test_keys_end):
            begun = time.monotonic()
            test(farm, clients)
            print(f"ok: {test.__name__} ({time.monotonic() - begun:.1f} s)", flush=True)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if os.geteuid() != 0:
        print("needs root: it makes network namespaces", file=sys.stderr)
        return 77
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        run(sys.argv[1])
    except Failed as failed:
        print(f"FAILED {failed}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
