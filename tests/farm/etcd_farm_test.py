#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""etcd_farm_test.py BINARIES: a farm of real processes, three members of etcd, two tfod that each keep a
server's kernel keys and one that validates. Keys change in the order in which nobody is refused, through
kill -9 of a tfod and while etcd is away."""
import contextlib
import ctypes
import functools
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

import client_farm
import etcd_members
from client_farm import Failed

SKIPPED = 77
DEADLINE = 40
POOL = "web"
SERVERS = ("s1", "s2")
SERVER_BIT = 0x2
CLONE_NEWNET = 0x40000000

wait_for = functools.partial(client_farm.wait_for, patience=DEADLINE)


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise Failed(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}")
    return done.stdout


def check(truth, what):
    if not truth:
        raise Failed(what)


class Server:
    """A network namespace whose kernel keys a tfod keeps."""

    def __init__(self, name, stack):
        self.netns = f"tfo-ef-{os.getpid()}-{name}"
        run("ip", "netns", "add", self.netns)
        stack.callback(run, "ip", "netns", "del", self.netns)
        # What a booted host may have: Fast Open on, with a random key.
        self.write("tcp_fastopen", "3")

    def inside(self, *command):
        return run("ip", "netns", "exec", self.netns, *command)

    def write(self, name, value):
        self.inside("sysctl", "-qw", f"net.ipv4.{name}={value}")

    def read(self, name):
        return self.inside("sysctl", "-n", f"net.ipv4.{name}").strip()

    def keys(self):
        return self.read("tcp_fastopen_key")

    def offers(self):
        return bool(int(self.read("tcp_fastopen")) & SERVER_BIT)


class Node:
    """One tfod with its configuration and log."""

    def __init__(self, farm, name, config, endpoints):
        self.name, self.binaries = name, farm.binaries
        self.directory = farm.directory / name
        self.directory.mkdir()
        self.log = self.directory / "tfod.log"
        self.socket = self.directory / "tfod.sock"
        self.config = self.directory / "tfod.json"
        config |= {
            "http": None, "socket": str(self.socket), "state_directory": str(self.directory),
            "farm": {"name": "edge", "node": name, "key_file": str(farm.directory / "farm.key"), "lease": "3s",
                     "etcd": {"endpoints": endpoints}},
            "pools": {POOL: {"store": "etcd", "interval": "0", "deadline": "10s"}}}
        self.config.write_text(json.dumps(config), encoding="utf-8")
        self.process = None

    def start(self):
        self.spawn()
        wait_for(f"tfod of {self.name} to be ready", lambda: self.says(" ready\n"), self.story)

    def spawn(self):
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([str(self.binaries / "tfod"), "--config", str(self.config)],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def says(self, text):
        if self.process.poll() is not None and text not in self.story():
            raise Failed(f"tfod of {self.name} ended: {self.story()}")
        return text in self.story()

    def story(self):
        return self.log.read_text(encoding="utf-8", errors="replace")

    def ask(self, **request):
        return client_farm.ask(self.socket, **request)

    def farm(self):
        return self.ask(command="farm-status", pool=POOL)

    def pool(self):
        return self.ask(command="status")["pools"][0]

    def conditions(self):
        return {condition["id"] for condition in self.ask(command="status")["conditions"]}

    def kill(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        self.process.wait(DEADLINE)

    def close(self):
        if self.process is not None and self.process.poll() is None:
            self.kill()


def current_of(status):
    return next(one["id"] for one in status["generations"] if one["slot"] == "current")


class Rotation:
    """One that was asked for: the farm's word that it was served may come before the document itself."""

    def __init__(self, request, before):
        self.request, self.before = request, before

    def done(self, status):
        served = any(one["id"] == self.request and one["state"] == "served" for one in status["asked"])
        return served and current_of(status) != self.before


class Farm:
    """All of it."""

    def __init__(self, binaries, directory, etcd, stack):
        self.binaries, self.directory, self.etcd = pathlib.Path(binaries).resolve(), directory, etcd
        run("ip", "link", "add", "t0", "type", "veth", "peer", "name", "t1")
        run("ip", "link", "set", "t0", "up")
        run("ip", "link", "set", "t1", "up")
        (directory / "bpf").mkdir()
        run("mount", "-t", "bpf", "bpf", str(directory / "bpf"))
        stack.callback(run, "umount", str(directory / "bpf"))
        self.servers = {name: Server(name, stack) for name in SERVERS}
        self.nodes = {name: Node(self, name, self.server_role(name), etcd.endpoints()) for name in SERVERS}
        self.nodes["lb"] = Node(self, "lb", {
            "bpffs": str(directory / "bpf"), "interfaces": [{"name": "t0"}],
            "vips": [{"name": "web", "addresses": ["192.0.2.1"], "pool": POOL, "mode": "enforce", "renew": True}]},
            etcd.endpoints())
        for node in self.nodes.values():
            stack.callback(node.close)

    def server_role(self, name):
        return {"server": {"namespaces": [{"pool": POOL, "netns": self.servers[name].netns}]}}

    def init(self):
        return run(str(self.binaries / "tfoctl"), "farm", "init", "--config", str(self.nodes["s1"].config), POOL)

    def keys(self):
        return {name: server.keys() for name, server in self.servers.items()}

    def story(self):
        return "\n".join(f"--- {name}:\n{node.story()}" for name, node in self.nodes.items() if node.process)

    def settled(self, asked=None):
        """Has everybody acknowledged a steady document, after the rotation `asked` if there was one?"""
        status = self.nodes["lb"].farm()
        members = status["members"]
        return (status["state"] == "steady" and len(members) == len(self.nodes) and
                all(member["acked"] for member in members) and (asked is None or asked.done(status)))

    def rotate(self):
        before = current_of(self.nodes["lb"].farm())
        return Rotation(self.nodes["lb"].ask(command="key-rotate", pool=POOL)["request"], before)


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


def main():
    if os.geteuid() != 0:
        print("skipped: needs root")
        return SKIPPED
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    run("ip", "link", "set", "lo", "up")
    with contextlib.ExitStack() as stack:
        directory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tfo-ef-")))
        etcd = stack.enter_context(etcd_members.etcd_members())
        farm = Farm(sys.argv[1], directory, etcd, stack)
        try:
            for test in (test_first_start, test_rotation, test_killed, test_etcd_away, test_refusals, test_leaving):
                begun = time.monotonic()
                test(farm)
                print(f"ok: {test.__name__} ({time.monotonic() - begun:.1f} s)", flush=True)
        except Exception:
            print(farm.story(), file=sys.stderr)
            raise
    return 0


if __name__ == "__main__":
    sys.exit(main())
