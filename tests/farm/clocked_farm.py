# SPDX-License-Identifier: BSD-2-Clause
"""A farm whose nodes share keys by the clock alone: one balancer and some servers, each with a tfod
of its own (tfod_clocked) whose clock can be set apart from the others'; and clients with cookies of
any age. For the tests of derived keys."""
import collections
import contextlib
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import dialer

ROOT = pathlib.Path(__file__).resolve().parents[2]
FARM = str(ROOT / "tools/farm/farm")
sys.path.insert(0, str(ROOT / "tools/farm"))
import judge  # noqa: E402  (beside the farm)

DEADLINE = 20
SECRET = bytes(range(100, 132))  # of a farm that lives some minutes
POOL = "web"
# Clients live in networks of their own (RFC 2544, RFC 3849): every address there is a client.
NETWORK = {4: "198.18.0.0/16", 6: "2001:db8:3::/64"}
# The VIP has many addresses, so that the clients' kernel remembers many cookies.
VIP_NETWORK = {4: "192.0.2.0/24", 6: "2001:db8::/64"}
VIPS = 250  # of each family

Timing = collections.namedtuple("Timing", "interval max_skew accept_generations")


class Failed(Exception):
    """The test cannot go on."""


def output(*command, text=None):
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, input=text)
    if done.returncode != 0:
        raise Failed(f"{' '.join(command)}: exit {done.returncode}")
    return done.stdout


def key_text(counter):
    """The kernel's text of the key of interval number `counter`: tofurkey's function, which is
    libsodium's crypto_kdf_blake2b_derive_from_key, written with Python's BLAKE2b."""
    key = hashlib.blake2b(b"", digest_size=16, key=SECRET, salt=counter.to_bytes(8, "little"),
                          person=b"tofurkey").hexdigest()
    return "-".join(key[at:at + 8] for at in range(0, 32, 8))


def vip_address(number, family):
    """`number`: 1 to VIPS."""
    return f"192.0.2.{number}" if family == 4 else f"2001:db8::{number:x}"


def client_address(number, family):
    if family == 4:
        return f"198.18.{number >> 8}.{number & 255}"
    return f"2001:db8:3::{number:x}"


class Node:
    """One tfod_clocked with its configuration, clock and log."""

    def __init__(self, farm, node, binaries, config):
        self.node, self.netns = node, farm.netns(node)
        self.directory = farm.directory / node
        self.directory.mkdir()
        self.clock = self.directory / "clock"
        self.set_clock(0)
        self.log = self.directory / "tfod.log"
        self.socket = self.directory / "tfod.sock"
        self.binaries = binaries
        config |= {"http": None, "socket": str(self.socket), "state_directory": str(self.directory)}
        (self.directory / "tfod.json").write_text(json.dumps(config), encoding="utf-8")
        self.process = None

    def set_clock(self, offset):
        """Seconds by which this node's clock is ahead."""
        new = self.directory / "clock.new"
        new.write_text(f"{offset}\n", encoding="ascii")
        new.rename(self.clock)

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                ["nsenter", f"--net={self.netns}", "--", str(self.binaries / "tests/tfod_clocked"), str(self.clock),
                 "--config", str(self.directory / "tfod.json")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(f"tfod in {self.node} to answer", self.answers, self.complain)

    def answers(self):
        if self.process.poll() is not None:
            raise Failed(self.complain())
        return not subprocess.run([*self.ctl_command("status"), "-j"], capture_output=True, check=False).returncode

    def complain(self):
        return f"tfod in {self.node}:\n" + self.log.read_text(encoding="utf-8", errors="replace")[-2000:]

    def ctl_command(self, *arguments):
        return [str(self.binaries / "tfoctl"), "--socket", str(self.socket), *arguments]

    def ctl(self, *arguments):
        return json.loads(output(*self.ctl_command(*arguments), "-j"))

    def conditions(self):
        return {condition["id"] for condition in self.ctl("status")["conditions"]}

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(DEADLINE)
            except subprocess.TimeoutExpired:
                self.kill()


def wait_for(what, condition, evidence=lambda: "", patience=DEADLINE):
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            raise Failed(f"gave up waiting for {what}\n{evidence()}")
        time.sleep(0.02)


class ClockedFarm:
    """Farm, daemons and a dialer; use clocked_farm()."""

    def __init__(self, name, directory, binaries, timing, vip):
        self.name, self.directory, self.timing = name, directory, timing
        self.info = json.loads(output(FARM, "info", name, "--json"))
        self.port = self.info["nginx_port"]
        (directory / "secret").touch(mode=0o600)
        (directory / "secret").write_bytes(SECRET)
        pools = {POOL: self.pool()}
        self.balancer = Node(self, "lb", binaries, {
            "instance": name, "bpffs": f"{directory}/bpf", "pools": pools,
            "interfaces": [{"name": self.info["balancer_interface"], "mode": "native"}],
            "vips": [{"name": f"{POOL}{family}", "pool": POOL,
                      "addresses": [vip_address(number, family) for number in range(1, VIPS + 1)]} | vip
                     for family in VIP_NETWORK]})
        self.servers = [Node(self, node, binaries, {"pools": pools, "server": {"namespaces": [{"pool": POOL}]}})
                        for node in self.info["nodes"] if node.startswith("s")]
        self.dialer = dialer.Dialer(self.netns("c1"))
        self.clients = 0

    def pool(self):
        interval, skew, accepted = self.timing
        return {"store": "derived", "secret": f"{self.directory}/secret", "interval": f"{interval}s",
                "max_skew": f"{skew}s", "accept_generations": accepted, "not_after": "1h"}

    def netns(self, node):
        return self.info["nodes"][node]["netns"]

    def nodes(self):
        return [self.balancer, *self.servers]

    def exec(self, node, *command):
        return output("nsenter", f"--net={self.netns(node)}", "--", *command)

    def route(self):
        for family, network in VIP_NETWORK.items():
            for server in self.servers:
                self.exec(server.node, "ip", "route", "add", "local", network, "dev", "lo")
        for family, network in NETWORK.items():
            client = self.info["nodes"]["c1"][f"address{family}"]
            self.exec("c1", "ip", "route", "add", "local", network, "dev", "lo")
            for server in self.servers:
                self.exec(server.node, "ip", "route", "add", network, "via", client, "dev", "eth0")

    def set_keys(self, counter):
        """What servers held in the first half of interval number `counter`."""
        output(FARM, "key", self.name, "-", text=f"{key_text(counter)},{key_text(counter - 1)}\n")

    def counter(self, moment):
        return int(moment) // self.timing.interval

    def new_client(self, first=1, last=VIPS):
        """(source, destination) of a client that has no cookie yet: the families and the VIP's
        addresses from number `first` to `last` in turn."""
        self.clients += 1
        family = 4 if self.clients % 2 else 6
        vip = first + self.clients // 2 % (last - first + 1)
        return client_address(self.clients, family), vip_address(vip, family)

    def dial(self, client):
        return self.dialer.dial(*client, self.port)

    def kernel(self):
        return collections.Counter(json.loads(output(FARM, "counters", self.name))["total"])

    def validator(self):
        """Counts by reason, and by action as "did NAME" and "would NAME"."""
        stats = self.balancer.ctl("stats")
        total = judge.reasons(stats)
        for vip in stats["vips"]:
            total.update({f"did {name}": number for name, number in vip["actions"].items()})
            total.update({f"would {name}": number for name, number in vip["would"].items()})
        return total

    def close(self):
        self.dialer.close()
        subprocess.run(self.balancer.ctl_command("detach"), capture_output=True, check=False)
        for node in self.nodes():
            node.stop()


@contextlib.contextmanager
def clocked_farm(binaries, timing, vip, servers=3):
    """`vip`: fields of the balancer's VIP, such as {"mode": "enforce", "renew": True}."""
    with contextlib.ExitStack() as stack:
        directory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tfo-clocked-")))
        name = output(FARM, "up", "auto", "--servers", str(servers), "--clients", "1").strip()
        stack.callback(output, FARM, "down", name)
        output(FARM, "serve", name)
        (directory / "bpf").mkdir()
        output("mount", "-t", "bpf", "bpf", str(directory / "bpf"))
        stack.callback(output, "umount", str(directory / "bpf"))
        farm = ClockedFarm(name, directory, pathlib.Path(binaries).resolve(), timing, vip)
        stack.callback(farm.close)
        farm.route()
        yield farm
