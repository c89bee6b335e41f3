#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Real clients and real servers through a balancer node with tfod: curl, Python, C and Go-style
clients towards nginx and HAProxy over IPv4 and IPv6, with two key rotations in between. For each
peer the validator's counts must equal those of the servers' kernels, and no cookie is refused.

  peers_test.py BIN      BIN: the directory of tfod and tfoctl
"""
import collections
import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
FARM = str(ROOT / "tools/farm/farm")
sys.path.insert(0, str(ROOT / "tools/farm"))
import judge  # noqa: E402  (beside the farm, which the quickstart shares)

CLIENTS = {"curl": "c1", "python": "c2", "c": "c3", "go": "c4"}
ROUNDS = 3  # a rotation between each two
CONNECTIONS = 3  # with the cookie of the round before, then as many after emptying the cache
DEADLINE = 20

Peer = collections.namedtuple("Peer", "client server family")


class Failed(Exception):
    """The test cannot go on."""


def output(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise Failed(f"{' '.join(command)}: exit {done.returncode}")
    return done.stdout


class Farm:
    def __init__(self, name):
        self.name = name
        self.info = json.loads(output(FARM, "info", name, "--json"))
        self.vip = {4: self.info["vip4"], 6: self.info["vip6"]}
        self.port = {"nginx": self.info["nginx_port"], "haproxy": self.info["haproxy_port"]}

    def netns(self, node):
        return self.info["nodes"][node]["netns"]

    def servers(self):
        return [node for node in self.info["nodes"] if node.startswith("s")]

    def run(self, *command):
        return output(FARM, *command[:1], self.name, *command[1:])

    def counters(self):
        return collections.Counter(json.loads(self.run("counters"))["total"])

    def connect(self, peer):
        return json.loads(self.run("client", CLIENTS[peer.client], peer.client, self.vip[peer.family],
                                   str(self.port[peer.server]), str(CONNECTIONS)))


class Daemon:
    """tfod as balancer and, for the servers' namespaces, in the server role."""

    def __init__(self, binaries, farm, directory):
        self.tfoctl = [str(binaries / "tfoctl"), "--socket", f"{directory}/tfod.sock"]
        config = directory / "tfod.json"
        config.write_text(json.dumps(self.config(farm, directory)), encoding="utf-8")
        self.log = directory / "tfod.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                ["nsenter", f"--net={farm.netns('lb')}", "--", str(binaries / "tfod"), "--config", str(config)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    @staticmethod
    def config(farm, directory):
        return {
            "instance": farm.name,
            "interfaces": [{"name": farm.info["balancer_interface"], "mode": "native"}],
            "pools": {"web": {"store": "file", "file": f"{directory}/web.keys", "interval": "0"}},
            "vips": [{"name": server, "addresses": list(farm.vip.values()), "ports": [port], "pool": "web"}
                     for server, port in farm.port.items()],
            "server": {"namespaces": [{"pool": "web", "netns": farm.netns(node)} for node in farm.servers()]},
            "http": None,
            "socket": f"{directory}/tfod.sock",
            "state_directory": str(directory),
            "bpffs": f"{directory}/bpf",
        }

    def ctl(self, *arguments):
        return json.loads(output(*self.tfoctl, *arguments, "-j"))

    def wait_ready(self):
        deadline = time.monotonic() + DEADLINE
        while subprocess.run([*self.tfoctl, "status", "-j"], capture_output=True, check=False).returncode:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Failed("tfod does not come up:\n" + self.log.read_text(encoding="utf-8", errors="replace"))
            time.sleep(0.02)

    def rotate(self):
        """Returns when the rotation is complete: every server mints with the new key."""
        before = self.current()
        self.ctl("key", "rotate", "web")
        deadline = time.monotonic() + DEADLINE
        while self.current() == before or self.ctl("status")["pools"][0]["state"] != "steady":
            if time.monotonic() > deadline:
                raise Failed("the rotation does not end")
            time.sleep(0.02)

    def current(self):
        return [key["id"] for key in self.ctl("key", "show")["pools"][0]["generations"]
                if key["place"] == "current"]

    def stop(self):
        subprocess.run([*self.tfoctl, "detach"], capture_output=True, check=False)
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(DEADLINE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def peers(reverse):
    servers = ("haproxy", "nginx") if reverse else ("nginx", "haproxy")
    return [Peer(client, server, family) for server in servers for client in CLIENTS for family in (4, 6)]


def measure(farm, daemon):
    """The validator's classes and the servers' counters, in one."""
    return farm.counters() + judge.reasons(daemon.ctl("stats"))


def run_peer(farm, peer, table):
    """The client's cookie, if it has one, is from the last round: a server takes it as its backup
    key's and hands out a new one. Then without any."""
    for flush in (False, True):
        if flush:
            farm.run("exec", CLIENTS[peer.client], "ip", "tcp_metrics", "flush", farm.vip[peer.family])
        result = farm.connect(peer)
        table[peer]["connections"] += result["connections"]
        table[peer]["syn_data"] += result["syn_data"]


def run_rounds(farm, daemon):
    table = collections.defaultdict(collections.Counter)
    for number in range(ROUNDS):
        if number > 0:
            daemon.rotate()
        before = measure(farm, daemon)
        # Both servers share the clients' cookie for the VIP: who comes first alternates.
        for peer in peers(reverse=number % 2 == 1):
            run_peer(farm, peer, table)
            after = measure(farm, daemon)
            table[peer].update({name: after[name] - before[name] for name in after})
            before = after
    return table


def faults(row):
    """What is wrong with a peer's row."""
    pairs = judge.comparisons(row, row) + [
        ("cookies under the servers' backup key", judge.count(row, judge.BACKUP), row["TCPFastOpenPassiveAltKey"]),
        ("data accepted, servers and client", row["TCPFastOpenPassive"], row["syn_data"]),
        ("connections, and SYNs with the option", row["connections"],
         judge.count(row, judge.ASKED + judge.ACCEPTED + judge.REFUSED)),
        ("TCPFastOpenPassiveFail, and none", row["TCPFastOpenPassiveFail"], 0),
        ("TCPFastOpenListenOverflow, and none", row["TCPFastOpenListenOverflow"], 0),
    ]
    wrong = [f"{what}: {ours} != {theirs}" for what, ours, theirs in pairs if ours != theirs]
    if row["request"] < ROUNDS or row["cookie_previous"] < 1:
        wrong.append("too few requests, or no cookie of before a rotation: the comparison proves nothing")
    return wrong


def show(table):
    columns = ("client", "server", "IP", "conns", "request", "CookieReqd", "cookie", "Passive", "previous",
               "AltKey", "PassiveFail", "syn data")
    print(" ".join(f"{column:>11}" for column in columns))
    for peer, row in table.items():
        values = (*peer, row["connections"], row["request"], row["TCPFastOpenCookieReqd"],
                  judge.count(row, judge.ACCEPTED), row["TCPFastOpenPassive"], row["cookie_previous"],
                  row["TCPFastOpenPassiveAltKey"], row["TCPFastOpenPassiveFail"], row["syn_data"])
        print(" ".join(f"{value:>11}" for value in values), flush=True)


@contextlib.contextmanager
def bpffs(directory):
    """A file system of its own for the pins."""
    (directory / "bpf").mkdir()
    output("mount", "-t", "bpf", "bpf", str(directory / "bpf"))
    try:
        yield
    finally:
        output("umount", str(directory / "bpf"))


@contextlib.contextmanager
def running_farm():
    name = output(FARM, "up", "auto", "--servers", "3", "--clients", str(len(CLIENTS))).strip()
    try:
        output(FARM, "serve", name)
        yield Farm(name)
    finally:
        output(FARM, "down", name)


def test(binaries, directory):
    with running_farm() as farm, bpffs(directory):
        daemon = Daemon(binaries, farm, directory)
        try:
            daemon.wait_ready()
            table = run_rounds(farm, daemon)
            show(table)
        finally:
            daemon.stop()
    wrong = [f"{'-'.join(map(str, peer))}: {fault}" for peer, row in table.items() for fault in faults(row)]
    for fault in wrong:
        print(f"FAILED {fault}")
    return 1 if wrong else 0


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if os.geteuid() != 0:
        print("needs root: it makes network namespaces", file=sys.stderr)
        return 77
    with tempfile.TemporaryDirectory(prefix="tfo-peers-") as directory:
        try:
            return test(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(directory))
        except Failed as error:
            print(f"FAILED {error}")
            return 1


if __name__ == "__main__":
    sys.exit(main())
