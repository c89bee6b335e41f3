#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""etcd_tamper_test.py BINARIES: somebody writes to etcd and lacks the farm key. They bring back what was there
before a revocation or another not_after, play requests again, spoil documents, forge and delete records. Each
try is refused with a sentence that says why, and neither the validator's BPF ring nor the servers' kernel
keys change at any moment."""
import contextlib
import json
import sys
import threading

from client_farm import Failed
from etcd_kernel_farm import POOL, PREFIX, RING, SERVERS, check, current_of, run_tests, wait_for
from pinned_ring import PinnedRing, RingWatch, held

OTHER_POOL = "api"
NOT_GENUINE = "it is not genuine"
# A rotation by the clock is no part of this.
LIVES = {"interval": "20h", "not_after": "60h"}
SHORTER = {"interval": "20h", "not_after": "20h"}


class BitWatch:
    """Servers that did not offer Fast Open at some moment while it runs, its first and its last included."""

    def __init__(self, servers):
        self.servers, self.plain, self.looks = servers, set(), 0
        self.begun, self.over = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self.flow)

    def flow(self):
        last = False
        while not last:
            last = self.over.is_set()
            self.plain |= {name for name, server in self.servers.items() if not server.offers()}
            self.looks += 1
            self.begun.set()
            self.over.wait(0.05)

    def __enter__(self):
        self.thread.start()
        if not self.begun.wait(10):
            raise Failed("the servers were not looked at for 10 s")
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


@contextlib.contextmanager
def nothing_changes(farm):
    """Every ring that packets can have met, the servers' keys, and that they offer Fast Open, stay as they are."""
    ring, keys = farm.ring(), farm.keys()
    counter = farm.nodes["lb"].farm()["counter"]
    pinned = PinnedRing(farm.directory / "bpf")
    with RingWatch(pinned) as watch, BitWatch(farm.servers) as bits:
        yield
    pinned.close()
    check(bits.looks > 1, f"the servers were looked at {bits.looks} times")
    check(not bits.plain, f"did not offer Fast Open for a while: {sorted(bits.plain)}")
    check(watch.looks > 10, f"the ring was looked at {watch.looks} times")
    for seen in watch.seen:
        check(held(seen) == held(ring), f"the data plane had another ring: {[place for _, place in held(seen)]}")
        ends = [abs(a - b) for (_, _, a), (_, _, b) in zip(ring.generations, seen.generations)]
        check(max(ends) < 2e9, f"not_after moved by {max(ends) / 1e9} s")
        check(seen.renew == ring.renew and seen.target == ring.target, "another renewal")
    check(farm.keys() == keys, "a server's keys changed")
    check(farm.nodes["lb"].farm()["counter"] == counter, "the farm's document changed")


def told(farm, condition, words, nodes=(*SERVERS, "lb")):
    for name in nodes:
        wait_for(f"{condition} at {name} with: {words}",
                 lambda node=farm.nodes[name]: words in node.conditions().get(condition, ""),
                 lambda node=farm.nodes[name]: f"{node.conditions()}\n{node.story()}")


def put_back_over(farm, value):
    """Writes it as the document: the genuine one is back soon."""
    genuine = farm.etcd.get(RING)
    check(value != genuine, "this is the genuine document")
    farm.etcd.put(RING, value)
    wait_for("the genuine document to be put back", lambda: farm.etcd.get(RING) == genuine, farm.story)


def revoke(farm):
    """Revokes the current generation; its key's text in the servers' sysctl."""
    bad = current_of(farm.nodes["lb"].farm())
    text = farm.keys()["s1"].split(",")[0]
    farm.nodes["lb"].ctl("key", "revoke", bad)
    wait_for("the revocation", lambda: farm.settled() and current_of(farm.nodes["lb"].farm()) != bad, farm.story)
    return text


def test_document_from_before_a_revocation(farm):
    farm.begin()
    farm.rotated()
    yesterday = farm.etcd.get(RING)
    bad = revoke(farm)
    revoked = [key for key, place in held(farm.ring()) if place == "revoked"]
    check(len(revoked) == 1, "the data plane does not know the revoked key")
    with nothing_changes(farm):
        put_back_over(farm, yesterday)
        told(farm, "store_rolled_back", "is older than ours")
    with nothing_changes(farm):
        for name in farm.etcd.all(PREFIX):
            if name.startswith(("ack/", "member/")):
                farm.etcd.delete(PREFIX + name)
        put_back_over(farm, yesterday)
        wait_for("all to have joined again", farm.settled, farm.story)
    check(all(bad not in keys for keys in farm.keys().values()), "a server holds the revoked key")
    check(all(bad not in farm.nodes[name].ctl("key", "export", POOL) for name in farm.nodes),
          "the revoked key is accepted")


def test_validator_starts_with_yesterdays_document(farm):
    """Nobody but itself tells it that this is old: its state file does."""
    lb = farm.nodes["lb"]
    yesterday = next(value for name, value in farm.etcd.history(RING) if value != farm.etcd.get(RING))
    genuine = farm.etcd.get(RING)
    with nothing_changes(farm):
        for name in SERVERS:
            farm.nodes[name].freeze()
        farm.etcd.put(RING, yesterday)
        lb.kill()
        lb.start()
        told(farm, "store_rolled_back", "is older than ours", ["lb"])
        wait_for("the genuine document", lambda: farm.etcd.get(RING) == genuine, farm.story)
        for name in SERVERS:
            farm.nodes[name].thaw()
        wait_for("all to be in step", farm.settled, farm.story)


def test_document_with_another_end(farm):
    """A generation's life was cut short; the document with the longer one is brought back."""
    before = farm.etcd.get(RING)
    longest = max(end for _, _, end in farm.ring().generations)
    for node in farm.nodes.values():
        node.configure_pool(SHORTER)
        node.reload()
    # Whoever leads cuts the lives short. A ring that is written again may differ by a second all the same.
    wait_for("shorter lives", lambda: farm.settled() and
             longest - max(end for _, _, end in farm.ring().generations) > 30 * 3600e9, farm.story)
    with nothing_changes(farm):
        put_back_over(farm, before)
        told(farm, "store_rolled_back", "is older than ours")


def test_spoilt_documents(farm):
    genuine = farm.etcd.get(RING)
    sealed = json.loads(genuine)

    def edited(**fields):
        return json.dumps(sealed | fields).encode()

    def flipped(at):
        # One bit of what is sealed: somewhere there is a not_after.
        box = sealed["box"]
        place = int(len(box) * at)
        return edited(box=box[:place] + ("B" if box[place] != "B" else "C") + box[place + 1:])
    incarnation, sequence = sealed["counter"]
    farm.init_pool(OTHER_POOL)
    spoilt = [(flipped(0.2), NOT_GENUINE), (flipped(0.7), NOT_GENUINE),
              (genuine[:len(genuine) // 2], "it is not a sealed value"), (b"", "it is not a sealed value"),
              (edited(counter=[incarnation, sequence + 1]), NOT_GENUINE), (edited(key=2), "line 2 of the farm key"),
              (farm.etcd.get(f"/tfo/edge/{OTHER_POOL}/ring"), NOT_GENUINE), (farm.etcd.get(PREFIX + "ack/s1"), NOT_GENUINE)]
    for value, words in spoilt:
        with nothing_changes(farm):
            farm.etcd.put(RING, value)
            condition = "farm_key_missing" if "line 2" in words else "store_refused"
            told(farm, condition, words)
            if condition == "farm_key_missing":
                farm.etcd.put(RING, genuine)  # it may be genuine: nobody replaces it
            wait_for("the genuine document", lambda: farm.etcd.get(RING) == genuine, farm.story)
    wait_for("all to be in step", farm.settled, farm.story)


def test_requests_played_again(farm):
    """Whoever reads etcd's history has every request that was ever made."""
    lb = farm.nodes["lb"]
    farm.rotated()
    farm.nodes["s2"].freeze()
    asked = farm.rotate()
    wait_for("a rotation that is held", lambda: lb.farm()["state"] == "prepare", farm.story)
    lb.ctl("key", "abort")
    farm.nodes["s2"].thaw()
    wait_for("the abort", lambda: farm.settled() and current_of(lb.farm()) == asked.before, farm.story)
    requests = dict(farm.etcd.history(PREFIX + "request/"))
    check(len(requests) >= 4, f"only {len(requests)} requests were made")  # rotate, revoke, rotate, rotate, abort
    events = lb.farm()["events"]
    with nothing_changes(farm):
        for name, value in requests.items():
            farm.etcd.put(PREFIX + "request/" + name, value)
        wait_for("the requests to be refused", lambda: not farm.etcd.all(PREFIX + "request/"), farm.story)
        # Under a name of its own it is none.
        farm.etcd.put(PREFIX + "request/forged", value)
        told(farm, "store_refused", "request/forged: it is not genuine", [lb.farm()["leader"]])
        farm.etcd.delete(PREFIX + "request/forged")
    check(lb.farm()["events"] == events, "something happened")


def test_forged_records(farm):
    """Nobody is let through by a forged acknowledgement, nor left out by a spoilt or deleted record."""
    lb = farm.nodes["lb"]
    leader = lb.farm()["leader"]
    late = next(name for name in SERVERS if name != leader)
    other = next(name for name in SERVERS if name != late)
    before = [value for name, value in farm.etcd.history(PREFIX + "ack/") if name == late]
    farm.nodes[late].freeze()
    asked = farm.rotate()
    wait_for("everybody else to acknowledge", lambda: lb.farm()["waits_for"] == [late], farm.story)
    check(lb.farm()["state"] == "prepare", "not held")
    with nothing_changes(farm):
        for value in (before[0], before[-1], b"garbage", farm.etcd.get(PREFIX + f"ack/{other}")):
            farm.etcd.put(PREFIX + f"ack/{late}", value)
        told(farm, "store_refused", f"ack/{late}: {NOT_GENUINE}", [leader])
        farm.etcd.delete(PREFIX + f"ack/{late}")
        farm.etcd.put(PREFIX + f"member/{late}", farm.etcd.get(PREFIX + f"member/{other}"))
        told(farm, "store_refused", f"member/{late}: {NOT_GENUINE}", [leader])
        check(lb.farm()["waits_for"] == [late], "the rotation does not wait any more")
    farm.nodes[late].thaw()
    wait_for("the rotation to end", lambda: farm.settled(asked), farm.story)
    with nothing_changes(farm):
        for name in farm.nodes:
            farm.etcd.delete(PREFIX + f"member/{name}")
            farm.etcd.delete(PREFIX + f"ack/{name}")
        wait_for("all records to be there again", lambda: {f"{kind}/{name}" for kind in ("member", "ack")
                                                          for name in farm.nodes} <= set(farm.etcd.all(PREFIX)),
                 farm.story)
        wait_for("all to be in step", farm.settled, farm.story)
    check(all(server.offers() for server in farm.servers.values()), "a server does not offer Fast Open any more")


TESTS = (test_document_from_before_a_revocation, test_validator_starts_with_yesterdays_document,
         test_document_with_another_end, test_spoilt_documents, test_requests_played_again, test_forged_records)

if __name__ == "__main__":
    sys.exit(run_tests(sys.argv[1], TESTS, LIVES))
