# SPDX-License-Identifier: BSD-2-Clause
"""A farm under attack: honest clients in prefixes of their own that have cookies, and attackers that
put frames on the wire in front of the balancer (tfo_flood). For attack_test.py."""
import collections
import contextlib
import json
import pathlib
import signal
import subprocess
import tempfile

from attack_clients import HONEST, NETWORKS, Clients
from client_farm import DEADLINE, FARM, VIP_NETWORK, Failed, output, vip_address

QLEN = 128  # half-open Fast Open connections that a listener takes
ATTACKERS = {4: "198.19.0.0", 6: "3fff::"}  # RFC 2544, the half that no honest client is in; RFC 9637
KEY = "a0bf63f7-ed803d81-cd641d30-cebc4a90"
WRONG_KEY = "00112233-44556677-8899aabb-ccddeeff"
COUNTERS = ("TCPFastOpenPassive", "TCPFastOpenPassiveFail", "TCPFastOpenListenOverflow", "TCPReqQFullDoCookies")


class Farm:
    """Namespaces, servers with one key, no daemon yet."""

    def __init__(self, name, directory, binaries, family):
        self.name, self.directory, self.binaries, self.family = name, directory, binaries, family
        self.info = json.loads(output(FARM, "info", name, "--json"))
        self.port = self.info["nginx_port"]
        self.key_file = directory / "key"
        self.key_file.touch(mode=0o600)
        self.key_file.write_text(KEY + "\n", encoding="utf-8")
        self.clients = Clients(self.netns("c1"), family, self.port)
        self.exec("lb", "ethtool", "-K", self.info["balancer_interface"], "gro", "on")
        output(FARM, "key", name, KEY)
        self.route()

    def netns(self, node):
        return self.info["nodes"][node]["netns"]

    def servers(self):
        return [node for node in self.info["nodes"] if node.startswith("s")]

    def exec(self, node, *command):
        return output("nsenter", f"--net={self.netns(node)}", "--", *command)

    def route(self):
        client = self.info["nodes"]["c1"][f"address{self.family}"]
        for server in self.servers():
            self.exec(server, "ip", "route", "add", "local", VIP_NETWORK[self.family], "dev", "lo")
            for network in NETWORKS[self.family]:
                self.exec(server, "ip", "route", "add", network, "via", client, "dev", "eth0")
        for network in NETWORKS[self.family]:
            self.exec("c1", "ip", "route", "add", "local", network, "dev", "lo")
        if self.family == 6:
            # Silent sources: a host without a route says so with ICMPv6, and that ends a server's child.
            self.exec("net", "ip", "route", "add", "blackhole", f"{ATTACKERS[6]}/20")

    @contextlib.contextmanager
    def resets(self, wanted):
        """Somebody at the attackers' addresses resets what it did not ask for, 50 ms later."""
        if not wanted:
            yield
            return
        script = str(pathlib.Path(__file__).with_name("resetter.py"))
        with subprocess.Popen(["nsenter", f"--net={self.netns('net')}", "--", script, "br0", ATTACKERS[4], "50"],
                              stdout=subprocess.PIPE, text=True) as answerer:
            try:
                if answerer.stdout.readline() != "ready\n":
                    raise Failed("resetter.py did not start")
                yield
            finally:
                answerer.kill()

    def kernel(self):
        counters = json.loads(output(FARM, "counters", self.name))["total"]
        return collections.Counter({name: counters[name] for name in COUNTERS})

    @contextlib.contextmanager
    def attacked(self, *arguments):
        """An attacker at work; the yielded dict holds its count when it has stopped, at the latest at the end."""
        command = ["nsenter", f"--net={self.netns('net')}", "--", str(self.binaries / "tests/tfo_flood"),
                   "--interface", "lb", "--mac", self.info["nodes"]["lb"]["mac"],
                   "--to", f"{vip_address(1, self.family)}:{self.port}", "--destinations", str(HONEST),
                   "--from", ATTACKERS[self.family], *arguments]
        if "valid" in arguments:
            command += ["--key-file", str(self.key_file)]
        counted = {}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as attacker:
            try:
                yield counted
                if "--seconds" in arguments:
                    attacker.wait(DEADLINE)
            finally:
                attacker.send_signal(signal.SIGTERM)
                said = attacker.communicate(timeout=DEADLINE)[0]
        if attacker.returncode != 0:
            raise Failed(f"{' '.join(command)}: exit {attacker.returncode}")
        counted.update(json.loads(said))

    @contextlib.contextmanager
    def all_to(self, server):
        """The balancer sends everything to one server."""
        # With the addresses of all known clients in it.
        half = (("192.0.2.0/25", "via", f"203.0.113.{server[1:]}", "dev", server) if self.family == 4 else
                ("2001:db8::/121", "via", f"2001:db8:2::{server[1:]}", "dev", server))
        self.exec("lb", "ip", "route", "add", *half)
        try:
            yield
        finally:
            self.exec("lb", "ip", "route", "del", *half)

    def visit(self):
        """Each known client connects to each server: who was there before anybody attacked."""
        for server in self.servers():
            with self.all_to(server):
                self.clients.browse(1, 1 / HONEST)

    def close(self):
        self.clients.close()


@contextlib.contextmanager
def attack_farm(binaries, family=4, servers=2):
    """A fresh farm each time: what an attack leaves in the servers lasts two minutes."""
    with contextlib.ExitStack() as stack:
        directory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tfo-attack-")))
        name = output(FARM, "up", "auto", "--servers", str(servers), "--clients", "1").strip()
        stack.callback(output, FARM, "down", name)
        output(FARM, "serve", name, "--fastopen", str(QLEN))
        farm = Farm(name, directory, pathlib.Path(binaries).resolve(), family)
        stack.callback(farm.close)
        farm.clients.prime()
        yield farm
