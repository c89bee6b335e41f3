#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""etcd_farm_test.py BINARIES: a farm of real processes, three members of etcd, two tfod that each keep a
server's kernel keys and one that validates. Keys change in the order in which nobody is refused, through
kill -9 of a tfod and while etcd is away."""
import json
import signal
import sys
import time

from client_farm import Failed
from etcd_kernel_farm import DEADLINE, POOL, PREFIX, RING, SERVER_BIT, Node, check, current_of, run_tests, wait_for
from pinned_ring import PinnedRing, RingWatch, held


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
    farm.servers["s1"].listen(80, qlen=128, backlog=200)
    farm.servers["s2"].listen(80, qlen=64, backlog=100)
    farm.servers["s2"].listen(81, qlen=32, backlog=50)
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


def reports(farm):
    """What the validator knows of the servers' listeners, but for its age."""
    known = dict(farm.nodes["lb"].pool()["farm_reports"])
    age = known.pop("oldest_age_s")
    check(age is None or 0 <= age < 300, f"reports are {age} s old")
    if age is None:
        return {}  # the leader has not added them up yet
    return known


def limits(farm):
    """What one client network and all of them may hold open at the validator."""
    vip = json.loads(farm.nodes["lb"].ctl("-j", "guard", "list"))["vips"][0]
    return vip["limit"], vip["vip_limit"]


def demote_is_unsafe(farm):
    """A server has bit 0x200: nothing is demoted until it goes, and nobody may ask for it."""
    lb = farm.nodes["lb"]
    wait_for("demote_unsafe", lambda: "demote_unsafe" in lb.conditions(), lb.story)
    lb.configure_vip({"on_invalid": "demote"})
    lb.process.send_signal(signal.SIGHUP)
    wait_for("a refusal", lambda: "config_refused" in lb.conditions(), lb.story)
    check('cannot be "demote" for VIP "web"' in lb.story(), lb.story())
    farm.servers["s2"].write("tcp_fastopen", str(SERVER_BIT | 1))
    wait_for("the end of demote_unsafe", lambda: "demote_unsafe" not in lb.conditions(), lb.story)
    lb.reload()
    check("config_refused" not in lb.conditions(), lb.story())
    lb.configure_vip({"on_invalid": "pass"})
    lb.reload()


def test_reports(farm):
    """What the servers' listeners can take, and a change of it, is known where packets are judged."""
    expected = {"servers": 2, "balancers": 1, "listeners": 3, "qlen_sum": 224, "qlen_least": 32, "qlen_unknown": 0,
                "backlog_sum": 350, "fullest_quarters": 0, "any_no_cookie_bit": False}
    wait_for("the servers' reports", lambda: reports(farm) == expected, lambda: str(reports(farm)))
    check(farm.nodes["s1"].pool()["farm_reports"] is None, "a server collects reports that nobody needs")
    wait_for("limits by the reports", lambda: limits(farm) == (8, 32), lambda: str(limits(farm)))
    said = farm.nodes["lb"].ctl("node", "list")
    check("servers report: 3 listeners, Fast Open queues of 224 in all, backlogs of 350\n" in said, said)
    farm.servers["s2"].write("tcp_fastopen", str(0x200 | SERVER_BIT | 1))
    farm.servers["s1"].listen(82, qlen=16, backlog=30)
    expected |= {"listeners": 4, "qlen_sum": 240, "qlen_least": 16, "backlog_sum": 380, "any_no_cookie_bit": True}
    wait_for("a change", lambda: reports(farm) == expected, lambda: str(reports(farm)))
    check(json.loads(farm.nodes["lb"].ctl("-j", "node", "list"))["reports"]["qlen_sum"] == 240, "node list has other sums")
    wait_for("limits that follow", lambda: limits(farm) == (8, 16), lambda: str(limits(farm)))
    demote_is_unsafe(farm)


def test_renewal_over_a_restart(farm):
    """A validator that is killed and comes back with a document other than the one in its data plane renews all
    the while: packets never meet a ring without renewal."""
    for _ in range(2):  # so that there is a key which servers do not hold
        farm.rotated()
    lb = farm.nodes["lb"]
    state = lb.directory / f"{POOL}.rotation"
    older = state.read_bytes()
    late = next(name for name in farm.servers if name != lb.farm()["leader"])
    farm.nodes[late].freeze()
    asked = farm.rotate()
    wait_for("prepare", lambda: lb.farm()["waits_for"] == [late], farm.story)
    farm.etcd.freeze()
    lb.kill()
    state.write_bytes(older)
    pinned = PinnedRing(farm.directory / "bpf")
    with RingWatch(pinned) as watch:
        lb.start()
    pinned.close()
    check(len({str(held(ring)) for ring in watch.seen}) > 1, "the data plane was not given other keys")
    check(all(ring.renew for ring in watch.seen), f"not renewed for a while: {[ring.renew for ring in watch.seen]}")
    farm.etcd.thaw()
    farm.nodes[late].thaw()
    wait_for("the rotation to end", lambda: farm.settled() and current_of(lb.farm()) != asked.before, farm.story)


def test_farm_key_that_leaked(farm):
    """`farm rekey --revoke-all`: other keys everywhere, the old ones refused, nothing under the old line."""
    lb, s1 = farm.nodes["lb"], farm.nodes["s1"]
    yesterday, old = farm.etcd.get(RING), {text for keys in farm.keys().values() for text in keys.split(",")}
    before = held(farm.ring())
    said = s1.ctl("farm", "new-line", "--config", str(s1.config))
    check("appended line 2" in said, said)
    answers = []

    def rekeyed():
        answers.append(lb.ctl("farm", "rekey", POOL, "--revoke-all", "--wait", code=None))
        return json.loads(farm.etcd.get(RING))["key"] == 2
    # Refused as long as some node has not read the file again.
    wait_for("a rekey", rekeyed, lambda: "\n".join(answers))
    check("complete in" in answers[-1], answers[-1])
    wait_for("all to acknowledge it", farm.settled, farm.story)
    events = [event["what"] for event in lb.farm()["events"]]
    check(any("line 2" in what and "every generation before revoked" in what for what in events), str(events))
    check("every generation before revoked" in s1.ctl("key", "history"), "history does not tell")
    now = set(farm.keys().values())
    check(len(now) == 1 and not any(text in now.copy().pop() for text in old), "a server holds an old key, or another one")
    ring = held(farm.ring())
    check([place for _, place in ring][:1] == ["current"] and {place for _, place in ring[1:]} == {"revoked"},
          f"places: {[place for _, place in ring]}")
    check({key for key, _ in before} <= {key for key, place in ring if place == "revoked"}, "an old key is not revoked")
    check(all(server.offers() for server in farm.servers.values()), "a server does not offer Fast Open")
    # The old line goes: nobody misses it, and what lies sealed under it is nothing any more.
    key_file = farm.directory / "farm.key"
    key_file.write_text("".join(line for line in key_file.read_text(encoding="ascii").splitlines(True)
                                if line.startswith("2 ")), encoding="ascii")
    wait_for("every record to be sealed under line 2", lambda: all(
        json.loads(value)["key"] == 2 for name, value in farm.etcd.all(PREFIX).items()
        if name.startswith(("ring", "ack/", "member/"))), farm.story)
    for node in farm.nodes.values():
        node.kill()
        node.start()
        wait_for("nobody on the old line", lambda one=node: one.farm()["farm_key"] == {
            "newest": 2, "sealed_under": 2, "min": 2, "lines": [2]}, lambda one=node: str(one.farm()["farm_key"]))
    genuine = farm.etcd.get(RING)
    farm.etcd.put(RING, yesterday)
    wait_for("the old line's document to be replaced", lambda: farm.etcd.get(RING) == genuine, farm.story)
    wait_for("all to be in step", farm.settled, farm.story)
    check(held(farm.ring()) == ring and set(farm.keys().values()) == now, "the old line's document changed keys")


def test_farm_made_anew(farm):
    """`farm init --force-new` while everybody runs: all follow, and nobody keeps anything of before."""
    lb = farm.nodes["lb"]
    old, before, counter = set(farm.keys().values()).pop(), held(farm.ring()), lb.farm()["counter"]
    said = farm.init(code=1)
    check("etcd has document" in said and "--force-new" in said, said)
    check(lb.farm()["counter"] == counter, "a refused init changed the farm")
    said = farm.init("--force-new")
    check("wrote document" in said, said)
    wait_for("all to follow", lambda: lb.farm()["counter"] not in (counter, "") and farm.settled(), farm.story)
    check(lb.farm()["counter"] in said, f"{lb.farm()['counter']}: {said}")
    now = set(farm.keys().values())
    check(len(now) == 1 and now.isdisjoint({old}) and not set(now.copy().pop().split(",")) & set(old.split(",")),
          "a server keeps an old key")
    ring = held(farm.ring())
    check(not {key for key, _ in ring} & {key for key, _ in before}, "an old key is accepted")
    check(all(server.offers() for server in farm.servers.values()), "a server does not offer Fast Open")
    watch_rotation(farm)
    check("rotation by command" in lb.ctl("key", "history"), lb.ctl("key", "history"))


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
    sys.exit(run_tests(sys.argv[1], (
        test_first_start, test_reports, test_rotation, test_renewal_over_a_restart, test_killed, test_etcd_away,
        test_refusals, test_farm_key_that_leaked, test_farm_made_anew, test_leaving)))
