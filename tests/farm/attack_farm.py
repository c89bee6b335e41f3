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
import threading
import time

import dialer
from client_farm import DEADLINE, FARM, Failed, Node, output, vip_address

QLEN = 128  # half-open Fast Open connections that a listener takes
HONEST = 100  # honest clients, each in a /24 of its own
ATTACKERS = "198.19.0.0"  # RFC 2544, the half that no honest client is in
KEY = "a0bf63f7-ed803d81-cd641d30-cebc4a90"
WRONG_KEY = "00112233-44556677-8899aabb-ccddeeff"
COUNTERS = ("TCPFastOpenPassive", "TCPFastOpenPassiveFail", "TCPFastOpenListenOverflow", "TCPReqQFullDoCookies")

# What happens to honest clients: what came of their connections, how long each took, in seconds; and how
# long those took that know nothing of Fast Open.
Honest = collections.namedtuple("Honest", "outcomes seconds plain")

# Where the guard stands. BALANCER: it sees the clients' half only, and nothing of the servers.
# SERVERS: on each server, which it sees the queues of. EXACT: there, and sees the SYN-ACKs leave.
BALANCER, SERVERS, EXACT = "balancer", "servers", "exact"


class Farm:
    """Namespaces, servers with one key, no daemon yet."""

    def __init__(self, name, directory, binaries):
        self.name, self.directory, self.binaries = name, directory, binaries
        self.info = json.loads(output(FARM, "info", name, "--json"))
        self.port = self.info["nginx_port"]
        self.key_file = directory / "key"
        self.key_file.touch(mode=0o600)
        self.key_file.write_text(KEY + "\n", encoding="utf-8")
        self.dialer = dialer.Dialer(self.netns("c1"))
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
        for server in self.servers():
            self.exec(server, "ip", "route", "add", "local", "192.0.2.0/24", "dev", "lo")
            self.exec(server, "ip", "route", "add", "198.18.0.0/16", "via", self.info["nodes"]["c1"]["address4"],
                      "dev", "eth0")
        self.exec("c1", "ip", "route", "add", "local", "198.18.0.0/16", "dev", "lo")

    @contextlib.contextmanager
    def resets(self, wanted):
        """Somebody at the attackers' addresses resets what it did not ask for, 50 ms later."""
        if not wanted:
            yield
            return
        script = str(pathlib.Path(__file__).with_name("resetter.py"))
        with subprocess.Popen(["nsenter", f"--net={self.netns('net')}", "--", script, "br0", ATTACKERS, "50"],
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

    def client(self, number):
        """Source and destination of an honest client: cookies go by both."""
        return f"198.18.{number}.1", vip_address(number, 4)

    def prime(self):
        """Gives every honest client its cookie."""
        for number in range(1, HONEST + 1):
            answer = self.dialer.dial(*self.client(number), self.port)
            if answer not in ("asked", "data"):
                raise Failed(f"an honest client asked for a cookie: {answer}")

    def browse(self, seconds, pace, plain=0):
        """Honest clients connect in turn, one every `pace` seconds; ends early where each takes long. With
        `plain`: beside them so many that know nothing of Fast Open, each one connection after another."""
        outcomes, times = collections.Counter(), []
        began = time.monotonic()
        deadline = began + 2 * seconds + DEADLINE
        with self.plain_clients(plain) as plain_seconds:
            for number in range(int(seconds / pace)):
                answer, took = self.dialer.timed(*self.client(number % HONEST + 1), self.port)
                outcomes[answer] += 1
                times.append(took)
                if time.monotonic() > deadline:
                    break
                time.sleep(max(0, began + (number + 1) * pace - time.monotonic()))
        return Honest(outcomes, sorted(times), sorted(plain_seconds))

    @contextlib.contextmanager
    def plain_clients(self, number):
        """The yielded list holds how long each connection took, infinity if it failed, once they have ended."""
        taken, ended = [], threading.Event()
        threads = [threading.Thread(target=self.dial_plain, args=(one + 1, taken, ended)) for one in range(number)]
        for thread in threads:
            thread.start()
        try:
            yield taken
        finally:
            ended.set()
            for thread in threads:
                thread.join()

    def dial_plain(self, number, taken, ended):
        with contextlib.closing(dialer.Dialer(self.netns("c1"))) as own:
            while not ended.is_set():
                answer, took = own.timed(f"198.18.{number}.2", vip_address(number, 4), self.port, plain=True)
                taken.append(took if answer == "plain" else float("inf"))

    @contextlib.contextmanager
    def attacked(self, *arguments):
        """An attacker at work; the yielded dict holds its count when it has stopped, at the latest at the end."""
        command = ["nsenter", f"--net={self.netns('net')}", "--", str(self.binaries / "tests/tfo_flood"),
                   "--interface", "lb", "--mac", self.info["nodes"]["lb"]["mac"], "--to", f"192.0.2.1:{self.port}",
                   "--destinations", str(HONEST), "--from", ATTACKERS, *arguments]
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
        half = ("192.0.2.0/25", "via", f"203.0.113.{server[1:]}", "dev", server)  # with all of HONEST in it
        self.exec("lb", "ip", "route", "add", *half)
        try:
            yield
        finally:
            self.exec("lb", "ip", "route", "del", *half)

    def visit(self):
        """Each honest client connects to each server: who was there before anybody attacked."""
        for server in self.servers():
            with self.all_to(server):
                self.browse(1, 1 / HONEST)

    def close(self):
        self.dialer.close()


class Guard(Node):
    """A node's tfod with the farm's key (or a wrong one) and this policy."""

    def __init__(self, farm, node, form, policy, key):
        self.bpffs = farm.directory / f"bpf-{node}"
        keys = farm.directory / f"{node}.keys"
        egress = {"egress": True} if form == EXACT else {}
        interfaces = [farm.info["balancer_interface"]] if form == BALANCER else ["back0", "eth0"]
        super().__init__(farm, node, {
            "instance": f"{farm.name}-{node}", "bpffs": str(self.bpffs),
            "pools": {"web": {"store": "file", "file": str(keys), "interval": 0}},
            "interfaces": [{"name": name, "mode": "native"} | egress for name in interfaces],
            "vips": [{"name": "web", "pool": "web",
                      "addresses": [vip_address(number, 4) for number in range(1, HONEST + 1)]} | policy]}
            | ({} if form == BALANCER else {"server": {"namespaces": [{"pool": "web"}]}}))
        self.bpffs.mkdir()
        output("mount", "-t", "bpf", "bpf", str(self.bpffs))
        try:
            self.start()
            self.take(key)
        except BaseException:
            self.close()
            raise

    def take(self, key):
        imported = subprocess.run(self.ctl_command("key", "import", "web", "--key-file", "-"), input=f"{key}\n",
                                  text=True, check=False, capture_output=True)
        if imported.returncode != 0:
            raise Failed(f"key import: {imported.stderr}")

    def close(self):
        if self.process is not None:
            subprocess.run(self.ctl_command("detach"), capture_output=True, check=False)
            self.stop()
        output("umount", str(self.bpffs))


@contextlib.contextmanager
def guarded(farm, form, policy, key=KEY):
    """The guards of that form; none without a policy: the farm alone."""
    nodes = [] if policy is None else ["lb"] if form == BALANCER else farm.servers()
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(contextlib.closing(Guard(farm, node, form, policy, key))) for node in nodes]


@contextlib.contextmanager
def attack_farm(binaries, servers=2):
    """A fresh farm each time: what an attack leaves in the servers lasts two minutes."""
    with contextlib.ExitStack() as stack:
        directory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tfo-attack-")))
        name = output(FARM, "up", "auto", "--servers", str(servers), "--clients", "1").strip()
        stack.callback(output, FARM, "down", name)
        output(FARM, "serve", name, "--fastopen", str(QLEN))
        farm = Farm(name, directory, pathlib.Path(binaries).resolve())
        stack.callback(farm.close)
        farm.prime()
        yield farm
