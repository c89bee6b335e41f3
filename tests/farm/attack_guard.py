# SPDX-License-Identifier: BSD-2-Clause
"""What stands against the attacks of attack_test.py: tfod on the balancer or on each server."""
import contextlib
import pathlib
import re
import subprocess
import threading

from attack_farm import KEY
from client_farm import VIPS, Failed, Node, output, vip_address

# Where the guard stands. BALANCER: it sees the clients' half only, and nothing of the servers.
# SERVERS: on each server, which it sees the queues of. EXACT: there, and sees the SYN-ACKs leave.
BALANCER, SERVERS, EXACT = "balancer", "servers", "exact"
SAMPLE = 0.2  # seconds


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
                      "addresses": [vip_address(number, farm.family) for number in range(1, VIPS + 1)]} | policy]}
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

    def load(self):
        """(handshakes that are open, the cap) of the VIP."""
        vip = self.ask(command="guard-list")["vips"][0]
        return vip["load"], vip["vip_limit"]

    def memory(self):
        """(bytes of all its maps, of its heap): what the kernel says of each, counted now."""
        tables, proc = {}, pathlib.Path(f"/proc/{self.process.pid}")  # nsenter became tfod
        for info in (proc / "fdinfo").iterdir():
            text = info.read_text(encoding="ascii", errors="replace")
            if "map_type:" in text:
                fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
                tables[fields["map_id"]] = int(fields["memlock"])
        status = (proc / "status").read_text(encoding="ascii")
        return sum(tables.values()), int(re.search(r"RssAnon:\s+(\d+) kB", status)[1]) * 1024

    def close(self):
        if self.process is not None:
            subprocess.run(self.ctl_command("detach"), capture_output=True, check=False)
            self.stop()
        output("umount", str(self.bpffs))


class Watch:
    """Looks at the guards all along: the most that one VIP carried, its cap, and every condition raised."""

    def __init__(self, guards):
        self.guards, self.ended = guards, threading.Event()
        self.peak, self.cap, self.said = 0, 0, set()
        self.thread = threading.Thread(target=self.look)

    def look(self):
        while not self.ended.wait(SAMPLE):
            for guard in self.guards:
                load, self.cap = guard.load()
                self.peak = max(self.peak, load)
                self.said |= {one["id"] for one in guard.ask(command="status")["conditions"]}

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()


@contextlib.contextmanager
def guarded(farm, form, policy, key=KEY):
    """The guards of that form; none without a policy: the farm alone."""
    nodes = [] if policy is None else ["lb"] if form == BALANCER else farm.servers()
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(contextlib.closing(Guard(farm, node, form, policy, key))) for node in nodes]
