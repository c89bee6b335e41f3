# SPDX-License-Identifier: BSD-2-Clause
"""A farm in network namespaces with real kernels as clients, whose every address is a client with a
memory of its own: one balancer and some servers, each with a tfod of its own. For tests of what
clients notice while keys change; the stores' own farms are in clocked_farm.py and etcd_client_farm.py."""
import collections
import contextlib
import itertools
import json
import pathlib
import signal
import socket
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
POOL = "web"
# Clients live in networks of their own (RFC 2544, RFC 3849): every address there is a client.
NETWORK = {4: "198.18.0.0/16", 6: "2001:db8:3::/64"}
# The VIP has many addresses, so that the clients' kernel remembers many cookies.
VIP_NETWORK = {4: "192.0.2.0/24", 6: "2001:db8::/64"}
VIPS = 250  # of each family

Site = collections.namedtuple("Site", "name directory binaries info")


class Failed(Exception):
    """The test cannot go on."""


def output(*command, text=None):
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, input=text)
    if done.returncode != 0:
        raise Failed(f"{' '.join(command)}: exit {done.returncode}")
    return done.stdout


def wait_for(what, condition, evidence=lambda: "", patience=DEADLINE):
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            raise Failed(f"gave up waiting for {what}\n{evidence()}")
        time.sleep(0.02)


def ask(path, **request):
    """One request to a tfod's control socket; its result."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(10)
        connection.connect(str(path))
        connection.sendall(json.dumps(request).encode() + b"\n")
        reply = b""
        while not reply.endswith(b"\n"):
            part = connection.recv(65536)
            if not part:
                break
            reply += part
    reply = json.loads(reply)
    if not reply["ok"]:
        raise Failed(f"{path}: {request}: {reply['error']}")
    return reply["result"]


def vip_address(number, family):
    """`number`: 1 to VIPS."""
    return f"192.0.2.{number}" if family == 4 else f"2001:db8::{number:x}"


def client_address(number, family):
    if family == 4:
        return f"198.18.{number >> 8}.{number & 255}"
    return f"2001:db8:3::{number:x}"


class Node:
    """One tfod with its configuration and log."""

    def __init__(self, farm, node, config):
        self.node, self.netns, self.binaries = node, farm.netns(node), farm.binaries
        self.directory = farm.directory / node
        self.directory.mkdir()
        self.log = self.directory / "tfod.log"
        self.socket = self.directory / "tfod.sock"
        self.config = self.directory / "tfod.json"
        self.configure(config | {"http": None, "socket": str(self.socket), "state_directory": str(self.directory)})
        self.process = None

    def configure(self, config):
        self.config.write_text(json.dumps(config), encoding="utf-8")

    def command(self):
        return [str(self.binaries / "tfod")]

    def start(self):
        # A session of its own: Ctrl-C is for the test, which ends it in its turn.
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                ["nsenter", f"--net={self.netns}", "--", *self.command(), "--config", str(self.config)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
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

    def ask(self, **request):
        return ask(self.socket, **request)

    def conditions(self):
        return {condition["id"] for condition in self.ctl("status")["conditions"]}

    def runs(self):
        return self.process is not None and self.process.poll() is None

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if not self.runs():
            return
        self.process.terminate()
        try:
            self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.kill()


class ClientFarm:
    """Farm, daemons and a dialer. A subclass makes the daemons by add_nodes()."""

    def __init__(self, site):
        self.name, self.directory, self.binaries, self.info = site
        self.port = self.info["nginx_port"]
        self.balancer, self.servers = None, []
        self.dialer = dialer.Dialer(self.netns("c1"))
        self.clients = itertools.count(1)

    def add_nodes(self, node_class, pool, vip, more=lambda _: {}):
        """`pool`: its configuration. `vip`: fields of the balancer's VIPs. `more`: of a node by name."""
        pools = {POOL: pool}
        self.balancer = node_class(self, "lb", {
            "instance": self.name, "bpffs": f"{self.directory}/bpf", "pools": pools,
            "interfaces": [{"name": self.info["balancer_interface"], "mode": "native"}],
            "vips": self.vips(vip)} | more("lb"))
        self.servers = [
            node_class(self, node, {"pools": pools, "server": {"namespaces": [{"pool": POOL}]}} | more(node))
            for node in self.info["nodes"] if node.startswith("s")]

    @staticmethod
    def vips(fields):
        return [{"name": f"{POOL}{family}", "pool": POOL,
                 "addresses": [vip_address(number, family) for number in range(1, VIPS + 1)]} | fields
                for family in VIP_NETWORK]

    def netns(self, node):
        return self.info["nodes"][node]["netns"]

    def nodes(self):
        return [self.balancer, *self.servers] if self.balancer else []

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

    def new_client(self, first=1, last=VIPS):
        """(source, destination) of a client that has no cookie yet: the families and the VIP's
        addresses from number `first` to `last` in turn."""
        number = next(self.clients)
        family = 4 if number % 2 else 6
        vip = first + number // 2 % (last - first + 1)
        return client_address(number, family), vip_address(vip, family)

    def dial(self, client):
        return self.dialer.dial(*client, self.port)

    def kernel_by_server(self):
        return json.loads(output(FARM, "counters", self.name))

    def kernel(self):
        return collections.Counter(self.kernel_by_server()["total"])

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
        for node in self.nodes():
            if node.runs():
                node.thaw()
        if self.balancer:
            subprocess.run(self.balancer.ctl_command("detach"), capture_output=True, check=False)
        for node in self.nodes():
            node.stop()


@contextlib.contextmanager
def client_site(binaries, servers=3):
    """Namespaces with their servers running, and a directory with a BPF file system in it."""
    with contextlib.ExitStack() as stack:
        directory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tfo-clients-")))
        name = output(FARM, "up", "auto", "--servers", str(servers), "--clients", "1").strip()
        stack.callback(output, FARM, "down", name)
        output(FARM, "serve", name)
        (directory / "bpf").mkdir()
        output("mount", "-t", "bpf", "bpf", str(directory / "bpf"))
        stack.callback(output, "umount", str(directory / "bpf"))
        yield Site(name, directory, pathlib.Path(binaries).resolve(), json.loads(output(FARM, "info", name, "--json")))
