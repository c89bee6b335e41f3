# SPDX-License-Identifier: BSD-2-Clause
"""A farm of real processes that share keys through a real etcd: two tfod that each keep the kernel keys of
a network namespace, and one that validates on a veth. Nobody sends packets here; keys are looked at where
the kernel has them."""
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
from pinned_ring import PinnedRing

SKIPPED = 77
DEADLINE = 40
POOL = "web"
PREFIX = f"/tfo/edge/{POOL}/"  # of its keys in etcd
RING = PREFIX + "ring"
SERVERS = ("s1", "s2")
SERVER_BIT = 0x2
CLONE_NEWNET = 0x40000000
LISTEN = """import socket, sys
port, qlen, backlog = map(int, sys.argv[1:])
peer = socket.socket()
peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, qlen)
peer.bind(("0.0.0.0", port))
peer.listen(backlog)
print(end=".", flush=True)
sys.stdin.read()"""

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
        self.netns, self.stack = f"tfo-ef-{os.getpid()}-{name}", stack
        run("ip", "netns", "add", self.netns)
        stack.callback(run, "ip", "netns", "del", self.netns)
        # What a booted host may have: Fast Open on, with a random key.
        self.write("tcp_fastopen", "3")

    def listen(self, port, qlen, backlog):
        """A listener that does Fast Open, until the test ends."""
        child = subprocess.Popen(["ip", "netns", "exec", self.netns, sys.executable, "-c", LISTEN, str(port), str(qlen),
                                  str(backlog)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.stack.callback(child.wait)
        self.stack.callback(child.kill)
        check(child.stdout.read(1) == b".", f"no listener on port {port}")

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

    def __init__(self, farm, name, config, endpoints, pool=None):
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
            "pools": {POOL: {"store": "etcd", "interval": "0", "deadline": "10s"} | (pool or {})}}
        self.config.write_text(json.dumps(config), encoding="utf-8")
        self.process = None

    def configure_pool(self, fields):
        config = json.loads(self.config.read_text(encoding="utf-8"))
        config["pools"][POOL] |= fields
        self.config.write_text(json.dumps(config), encoding="utf-8")

    def configure_vip(self, fields):
        config = json.loads(self.config.read_text(encoding="utf-8"))
        config["vips"][0] |= fields
        self.config.write_text(json.dumps(config), encoding="utf-8")

    def reload(self):
        before = self.story().count(" is in force")
        self.process.send_signal(signal.SIGHUP)
        wait_for(f"{self.name} to reload", lambda: self.story().count(" is in force") > before, self.story)

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

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

    def ctl(self, *arguments, code=0):
        """What tfoctl says, on standard output and standard error; `code` None: whatever comes of it."""
        done = subprocess.run([str(self.binaries / "tfoctl"), "--socket", str(self.socket), *arguments],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        check(code in (None, done.returncode), f"tfoctl {' '.join(arguments)}: exit {done.returncode}: {done.stdout}")
        return done.stdout

    def farm(self):
        return self.ask(command="farm-status", pool=POOL)

    def pool(self):
        return self.ask(command="status")["pools"][0]

    def conditions(self):
        """Evidence of those that are raised, by id."""
        return {condition["id"]: condition["evidence"] for condition in self.ask(command="status")["conditions"]}

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

    def __init__(self, binaries, directory, etcd, stack, pool=None):
        self.binaries, self.directory, self.etcd = pathlib.Path(binaries).resolve(), directory, etcd
        run("ip", "link", "add", "t0", "type", "veth", "peer", "name", "t1")
        run("ip", "link", "set", "t0", "up")
        run("ip", "link", "set", "t1", "up")
        (directory / "bpf").mkdir()
        run("mount", "-t", "bpf", "bpf", str(directory / "bpf"))
        stack.callback(run, "umount", str(directory / "bpf"))
        self.servers = {name: Server(name, stack) for name in SERVERS}
        self.nodes = {name: Node(self, name, self.server_role(name), etcd.endpoints(), pool) for name in SERVERS}
        self.nodes["lb"] = Node(self, "lb", {
            "bpffs": str(directory / "bpf"), "interfaces": [{"name": "t0"}],
            "vips": [{"name": "web", "addresses": ["192.0.2.1"], "pool": POOL, "mode": "enforce", "renew": True}]},
            etcd.endpoints(), pool)
        for node in self.nodes.values():
            stack.callback(node.close)

    def server_role(self, name):
        return {"server": {"namespaces": [{"pool": POOL, "netns": self.servers[name].netns}]}}

    def init(self, *options, code=0):
        node = self.nodes["s1"]
        return node.ctl("farm", "init", "--config", str(node.config), POOL, *options, code=code)

    def init_pool(self, pool):
        """Another pool of the farm, which no node uses."""
        config = json.loads(self.nodes["s1"].config.read_text(encoding="utf-8"))
        config["pools"] = {pool: config["pools"][POOL]}
        config["server"]["namespaces"][0]["pool"] = pool
        file = self.directory / f"{pool}.json"
        file.write_text(json.dumps(config), encoding="utf-8")
        run(str(self.binaries / "tfoctl"), "farm", "init", "--config", str(file), pool)

    def begin(self):
        """Makes the farm, starts everybody, and waits until all is in step."""
        self.init()
        for node in self.nodes.values():
            node.start()
        wait_for("all to acknowledge", self.settled, self.story)
        for server in self.servers.values():
            wait_for("servers to offer Fast Open", server.offers, self.story)

    def ring(self):
        """What the validator's data plane holds."""
        ring = PinnedRing(self.directory / "bpf")
        try:
            return ring.read()
        finally:
            ring.close()

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

    def rotated(self):
        """A rotation from its beginning to its end."""
        asked = self.rotate()
        wait_for("a rotation", lambda: self.settled(asked), self.story)

    def rotate(self):
        before = current_of(self.nodes["lb"].farm())
        return Rotation(self.nodes["lb"].ask(command="key-rotate", pool=POOL)["request"], before)


def run_tests(binaries, tests, pool=None):
    """Runs `tests`, functions of a Farm, one after another in a network namespace of their own; the exit code.
    `pool`: fields of the pool's configuration."""
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
        farm = Farm(binaries, directory, etcd, stack, pool)
        try:
            for test in tests:
                begun = time.monotonic()
                test(farm)
                print(f"ok: {test.__name__} ({time.monotonic() - begun:.1f} s)", flush=True)
        except Exception:
            print(farm.story(), file=sys.stderr)
            raise
    return 0
