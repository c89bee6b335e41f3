#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What /metrics says of rotations of a farm that shares its keys through a real etcd: how each of them
ended, on every node; and how the members stand, as the one that leads knows it: acknowledged, pending and
then unreachable (its tfod is stopped), drifted (somebody wrote a server's keys).

  metrics_rotation_test.py BIN      BIN: the directory of tfod and tfoctl
"""
import json
import os
import sys

from client_farm import POOL, Failed, output
from etcd_client_farm import etcd_client_farm, wait_for
from scrape import scrape

FOREIGN = "00112233-44556677-8899aabb-ccddeeff"


def restart_with_metrics(farm):
    for node in farm.nodes():
        node.stop()
        config = json.loads(node.config.read_text(encoding="utf-8"))
        config["http"] = {"listen": "127.0.0.1:9413"}
        if "server" in config:
            config["server"]["on_drift"] = "report"
        node.configure(config)
    for node in farm.nodes():
        node.start()
    farm.wait_settled(farm.balancer)


class Seen:
    """What those say that answer."""

    def __init__(self, farm):
        self.farm, self.silent = farm, None

    def scrapes(self):
        return [scrape(node.netns) for node in self.farm.nodes() if node is not self.silent]

    def ends(self, result):
        """On each node."""
        return [found.one("tfo_rotations_total", pool=POOL, result=result) for found in self.scrapes()]

    def stand(self):
        """The farm's members by status, and who leads: sums over all nodes."""
        all_of_them = self.scrapes()
        names = ("acknowledged", "pending", "drifted", "unreachable")
        return {name: sum(found.one("tfo_rotation_nodes", pool=POOL, status=name) for found in all_of_them)
                for name in names} | {"leader": sum(found.one("tfo_rotation_leader", pool=POOL) for found in all_of_them)}

    def wait_ends(self, result, count):
        wait_for(f"{count} {result} on every node", lambda: set(self.ends(result)) == {count}, self.story)

    def wait_stand(self, **wanted):
        wanted = {"acknowledged": 0, "pending": 0, "drifted": 0, "unreachable": 0, "leader": 1} | wanted
        wait_for(f"the members to stand so: {wanted}", lambda: self.stand() == wanted, self.story)
        print(f"  {wanted}", flush=True)

    def story(self):
        return f"{self.stand()}\n{self.farm.story()}"


def run(farm):
    restart_with_metrics(farm)
    seen, lb = Seen(farm), farm.balancer
    everybody = len(farm.nodes())
    seen.wait_stand(acknowledged=everybody)
    for result in ("completed", "aborted", "revoked"):
        seen.wait_ends(result, 0)
    lb.rotate()
    seen.wait_ends("completed", 1)
    seen.wait_stand(acknowledged=everybody)
    leader = lb.farm_status()["leader"]
    seen.silent = next(server for server in farm.servers if server.node != leader)
    seen.silent.freeze()
    lb.rotate()
    seen.wait_stand(acknowledged=everybody - 1, pending=1)
    seen.wait_stand(acknowledged=everybody - 1, unreachable=1)
    output(*lb.ctl_command("key", "abort"))
    seen.silent.thaw()
    seen.silent = None
    seen.wait_ends("aborted", 1)
    seen.wait_stand(acknowledged=everybody)
    farm.exec(farm.servers[0].node, "sysctl", "-qw", f"net.ipv4.tcp_fastopen_key={FOREIGN}")
    seen.wait_stand(acknowledged=everybody - 1, drifted=1)
    current = next(one["id"] for one in lb.farm_status()["generations"] if one["slot"] == "current")
    output(*lb.ctl_command("key", "revoke", current))
    seen.wait_ends("revoked", 1)
    seen.wait_stand(acknowledged=everybody)
    if set(seen.ends("completed")) != {1} or set(seen.ends("aborted")) != {1}:
        raise Failed(f"one end is counted as another: {seen.ends('completed')}, {seen.ends('aborted')}")


def main():
    if os.geteuid() != 0:
        print("needs root: it makes network namespaces", file=sys.stderr)
        return 77
    try:
        with etcd_client_farm(sys.argv[1], {"mode": "observe"}, servers=2) as farm:
            run(farm)
    except Failed as error:
        print(f"FAILED {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
