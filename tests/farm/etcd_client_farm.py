# SPDX-License-Identifier: BSD-2-Clause
"""A farm whose nodes share keys through a real etcd of three members, and whose clients are kernels
with cookies: the balancer renews, each server's tfod keeps its kernel's keys."""
import contextlib
import functools
import json
import signal

import client_farm
from client_farm import POOL, ClientFarm, Node, client_site, output
from etcd_members import etcd_members

LEASE = "3s"
PATIENCE = 60  # seconds: a leader that dies costs its lease, and its heir waits for two more

wait_for = functools.partial(client_farm.wait_for, patience=PATIENCE)


class EtcdNode(Node):
    """One tfod of the store etcd."""

    def farm_status(self):
        return self.ask(command="farm-status", pool=POOL)

    def rotate(self):
        self.ask(command="key-rotate", pool=POOL)

    def log_text(self):
        return self.log.read_text(encoding="utf-8", errors="replace")

    def evidence(self, condition):
        """Of a condition that is raised here; empty: it is not."""
        return next((one["evidence"] for one in self.ctl("status")["conditions"] if one["id"] == condition), "")


class EtcdClientFarm(ClientFarm):
    """Farm, etcd, daemons and a dialer; use etcd_client_farm()."""

    def __init__(self, site, etcd, vip, pool):
        super().__init__(site)
        self.etcd = etcd
        # Without a limit, a rotation goes on only when everybody has acknowledged.
        self.add_nodes(EtcdNode, {"store": "etcd", "interval": "0", "accept_generations": 4} | pool, vip, self.belongs)

    def belongs(self, node):
        return {"farm": {"name": self.name, "node": node, "key_file": str(self.directory / "farm.key"),
                         "lease": LEASE, "etcd": {"endpoints": self.etcd.endpoints()}}}

    def node(self, name):
        return next(node for node in self.nodes() if node.node == name)

    def start(self):
        self.exec("lb", str(self.binaries / "tfoctl"), "farm", "init", "--config", str(self.balancer.config), POOL)
        for node in self.nodes():
            node.start()
        self.wait_settled(self.balancer)

    def change_pool(self, fields):
        """Everybody takes other fields of the pool, by a reload."""
        for node in self.nodes():
            config = json.loads(node.config.read_text(encoding="utf-8"))
            config["pools"][POOL] |= fields
            node.configure(config)
            before = node.log_text().count(" is in force")
            node.process.send_signal(signal.SIGHUP)
            wait_for(f"{node.node} to reload", lambda one=node, count=before: one.log_text().count(" is in force") > count,
                     node.complain)
        self.wait_settled(self.balancer)

    def restart_balancer(self, vip):
        """The balancer's tfod, ended and started with other fields in its VIPs."""
        self.balancer.stop()
        config = json.loads(self.balancer.config.read_text(encoding="utf-8"))
        self.balancer.configure(config | {"vips": self.vips(vip)})
        self.balancer.start()
        self.wait_settled(self.balancer)

    def wait_settled(self, observer):
        """Until everybody has acknowledged a steady document, and all servers offer Fast Open."""
        wait_for("all to acknowledge a steady document",
                 lambda: self.is_acked(observer, "steady", self.nodes()) and self.all_offer(), self.story)

    def all_offer(self):
        return all(int(self.exec(server.node, "sysctl", "-n", "net.ipv4.tcp_fastopen")) & 2 for server in self.servers)

    @staticmethod
    def is_acked(observer, state, nodes):
        """Does the farm stand in that state, acknowledged by those nodes?"""
        status = observer.farm_status()
        acked = {member["node"] for member in status["members"] if member["acked"]}
        return status["state"] == state and {node.node for node in nodes} <= acked

    def story(self):
        return "\n".join(f"{node.complain()}\n{self.view_of(node)}" for node in self.nodes())

    @staticmethod
    def view_of(node):
        """What a node knows of the farm, as far as it answers."""
        try:
            status = node.farm_status()
        except (OSError, client_farm.Failed) as error:
            return f"no farm-status: {error}"
        return json.dumps({name: status[name] for name in (
            "state", "counter", "leader", "connected", "held", "waits_for", "members", "asked")})


@contextlib.contextmanager
def etcd_client_farm(binaries, vip, servers=3, pool=None):
    """`vip`: fields of the balancer's VIPs, such as {"mode": "enforce", "renew": True}. `pool`: more fields of it."""
    with client_site(binaries, servers) as site:
        net = site.info["nodes"]["net"]
        with etcd_members(net["netns"], net["address4"]) as etcd:
            farm = EtcdClientFarm(site, etcd, vip, pool or {})
            try:
                farm.route()
                farm.start()
                yield farm
            finally:
                farm.close()
