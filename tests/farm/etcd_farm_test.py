#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""etcd_farm_test.py BINARIES: a farm of real processes, three members of etcd, two tfod that each keep a
server's kernel keys and one that validates. Keys change in the order in which nobody is refused, through
kill -9 of a tfod and while etcd is away."""
import json
import sys
import time

from client_farm import Failed
from etcd_kernel_farm import DEADLINE, POOL, Node, check, run_tests, wait_for


def watch_rotation(farm):
    """Rotates, and sees to it at every moment that no server mints what the other one refuses."""
    before = farm.keys()
    check(len(set(before.values())) == 1, f"the servers differ before: {len(set(before.values()))} texts")
    seen = {name: [before[name]] for name in farm.servers}
    asked = farm.rotate()
    deadline = time.monotonic() + DEADLINE
    while not farm.settled(asked):
        check(time.monotonic() < deadline, "the rotation does not end\n" + json.dumps(farm.nodes["lb"].farm()))
        for name, server in farm.servers.items():
            keys = server.keys()
            if keys != seen[name][-1]:
                seen[name].append(keys)
                # The one that was read first may have moved on; what it held a moment ago counts.
                for other in farm.servers.values():
                    check(keys.split(",")[0] in other.keys(), f"{name} mints what another server refuses")
    old = before["s1"].split(",")[0]
    for name, texts in seen.items():
        last = farm.servers[name].keys()
        if texts[-1] != last:
            texts.append(last)
        current, other = last.split(",")
        check(other == old and current != old, f"{name} does not hold new,old in the end")
        check(f"{old},{current}" in texts or len(texts) == 2,
              f"{name} minted with a key that it had not staged: {len(texts)} changes")
    check(len(set(farm.keys().values())) == 1, "the servers differ after a rotation")
    return seen


def test_first_start(farm):
    """A tfod without keys and without etcd says what to do; a farm's first start ends with all in step."""
    farm.init()
    node = Node(farm, "lost", farm.server_role("s1"), ["http://127.9.9.9:1"])
    node.spawn()
    wait_for("a word about etcd", lambda: node.says("waiting"), node.story)
    node.process.terminate()
    check(node.process.wait(DEADLINE) == 2, "no exit code 2")
    for part in ("http://127.9.9.9:1", "tfoctl farm init", f"{node.directory}/{POOL}.rotation"):
        check(part in node.story(), f"no word of {part} in: {node.story()}")
    check(farm.servers["s1"].offers(), "a start that failed changed a server")
    for one in farm.nodes.values():
        one.start()
    wait_for("all to acknowledge", farm.settled, farm.story)
    for name, server in farm.servers.items():
        wait_for(f"{name} to offer Fast Open", server.offers, farm.story)
        story = farm.nodes[name].story()
        check("-> 0x1 (joining)" in story, f"{name} offered Fast Open before the farm counted on it\n{story}")
    check(len(set(farm.keys().values())) == 1, "the servers differ")
    wait_for("everybody's roles", lambda: roles(farm.nodes["s1"]) == {
        "s1": (False, True), "s2": (False, True), "lb": (True, False)}, farm.story)
    check(farm.nodes["s1"].pool()["store"] == "etcd", "status names another store")
    wait_for("the balancer's renewal", lambda: renews(farm), farm.story)
    wait_for("listeners in an acknowledgement", lambda: any(
        member["listeners"] for member in farm.nodes["lb"].farm()["members"] if member["node"] == "s1"), farm.story)
    for one in farm.nodes.values():
        check(not one.conditions(), f"{one.name}: {one.ask(command='status')['conditions']}")


def roles(node):
    return {member["node"]: (member["balancer"], member["server"]) for member in node.farm()["members"]}


def renews(farm):
    return all(member["renews"] for member in farm.nodes["s1"].farm()["members"] if member["balancer"])


def test_rotation(farm):
    for _ in range(2):
        watch_rotation(farm)


def test_killed(farm):
    """The keys of a killed tfod stay, nobody mints without it, and it goes on where it was."""
    before = farm.keys()
    farm.nodes["s2"].kill()
    check(farm.keys() == before, "a kill changed keys")
    asked = farm.rotate()
    lb = farm.nodes["lb"]
    wait_for("the rotation to begin", lambda: lb.farm()["state"] != "steady", farm.story)
    wait_for("the balancer to know who is missing", lambda: lb.farm()["waits_for"] == ["s2"], farm.story)
    current = before["s1"].split(",")[0]
    check(all(keys.split(",")[0] == current for keys in farm.keys().values()), "somebody minted without s2")
    check(farm.servers["s2"].offers(), "a dead tfod took its server's bit away")
    farm.nodes["s2"].start()
    check("(joining)" not in farm.nodes["s2"].story(), "a restart took Fast Open away")
    wait_for("the rotation to end", lambda: farm.settled(asked), farm.story)
    after = farm.keys()
    check(len(set(after.values())) == 1 and after["s1"].split(",")[1] == current, "not rotated")
    check(farm.servers["s2"].offers(), "s2 does not offer Fast Open any more")


def test_etcd_away(farm):
    """Without etcd the keys stay, also for a tfod that starts; with it back all is as before."""
    before = farm.keys()
    farm.etcd.freeze()
    for node in farm.nodes.values():
        wait_for(f"{node.name} to miss etcd", lambda one=node: "store_unreachable" in one.conditions(), farm.story)
    farm.nodes["s1"].kill()
    farm.nodes["s1"].start()
    farm.nodes["lb"].kill()
    farm.nodes["lb"].start()
    check(farm.keys() == before, "keys changed while etcd was away")
    check(all(server.offers() for server in farm.servers.values()), "a server stopped while etcd was away")
    farm.etcd.thaw()
    wait_for("all to acknowledge again", farm.settled, farm.story)
    for node in farm.nodes.values():
        wait_for(f"{node.name} to be content", lambda one=node: not one.conditions(),
                 lambda one=node: str(one.ask(command="status")["conditions"]) + one.story())
    check(farm.keys() == before, "keys changed when etcd came back")
    watch_rotation(farm)


def test_refusals(farm):
    """What cannot be done says so."""
    lb = farm.nodes["lb"]
    for request, words in (({"command": "key-import", "pool": POOL, "keys": ["-".join(["00000001"] * 4)]}, "farm init"),
                           ({"command": "farm-request", "pool": POOL, "kind": "swap"}, "rotate, abort"),
                           ({"command": "farm-request", "pool": POOL, "kind": "revoke"}, "which generation"),
                           ({"command": "farm-adopt", "pool": POOL}, "")):
        try:
            lb.ask(**request)
        except Failed as refused:
            check(words in str(refused), f"{request}: {refused}")
        else:
            raise Failed(f"not refused: {request}")


def test_leaving(farm):
    """A server that is detached with its own keys put back is no member any more."""
    farm.nodes["s2"].ask(command="detach", restore=True)
    farm.nodes["s2"].process.wait(DEADLINE)
    lb = farm.nodes["lb"]
    wait_for("s2 to be gone", lambda: {member["node"] for member in lb.farm()["members"]} == {"lb", "s1"}, farm.story)
    asked = farm.rotate()
    wait_for("a rotation without it", lambda: asked.done(lb.farm()) and lb.farm()["state"] == "steady", farm.story)


if __name__ == "__main__":
    sys.exit(run_tests(sys.argv[1], (test_first_start, test_rotation, test_killed, test_etcd_away, test_refusals, test_leaving)))
