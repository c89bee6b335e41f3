#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The farm's numbers add up, from /metrics alone: what the clients' kernels sent is what the validator
counted, and that is what the servers' kernels counted. Real kernels as clients and servers, IPv4 and
IPv6; cookies under the current, next, previous, a retired and a foreign key, cookies of other lengths, a
client whose SYNs are not answered and must be sent again, with and without renewal, and a rotation
between the two halves.

  metrics_sum_test.py BIN      BIN: the directory of tfod and tfoctl
"""
import json
import os
import pathlib
import socket
import subprocess
import sys
import threading
import time

import dialer
from client_farm import VIPS, Failed, vip_address, wait_for
from clocked_farm import FARM, Timing, clocked_farm, key_text, output
from scrape import scrape

# Renewal goes to the backup key until m = 2 * max_skew + 5 s before the middle of an interval, and to
# the primary one from there on; servers change two seconds after each half, and that all of them hold the
# next key, whose cookies are then left alone, is known m after the middle.
TIMING = Timing(interval=48, max_skew=1, accept_generations=8)
MIDDLE, MARGIN = TIMING.interval // 2, 7
FIRST_HALF = (4, MIDDLE - MARGIN - 1)
SECOND_HALF = (MIDDLE + MARGIN + 1, TIMING.interval - 2)
RETIRED = 5  # intervals ago
START = 25  # seconds that the daemons may take, at least
FOREIGN = "00112233-44556677-8899aabb-ccddeeff"
EACH = 6  # connections of a kind
RAW = 4  # SYNs with a cookie of four bytes
SILENT = "198.18.200.1"  # a client whom no SYN-ACK reaches

# The VIP's addresses, by kind of client: 1 to 125 are renewed, the others are not.
RENEWED, BARE = (1, 125), (126, VIPS)



class Sums:
    def __init__(self, farm, base):
        self.farm, self.base = farm, base
        self.wrong = []

    def equal(self, what, *sides):
        print(f"  {what}: {' = '.join(f'{side:g}' for side in sides)}", flush=True)
        if len(set(sides)) != 1:
            self.wrong.append(f"{what}: {sides}")

    def above_zero(self, **counts):
        self.wrong += [f"no {name}: it proves nothing" for name, count in counts.items() if not count]


def set_up(farm):
    """Metrics for everybody, and VIPs with and without renewal."""
    for node in farm.nodes():
        config = json.loads(node.config.read_text(encoding="utf-8"))
        config["http"] = {"listen": "127.0.0.1:9413"}
        for vip in config.get("vips", []):
            first = [vip_address(number, 4 if vip["name"].endswith("4") else 6) for number in range(*RENEWED)]
            vip["addresses"] = [one for one in vip["addresses"] if one in first]
        for family in (4, 6) if "vips" in config else ():
            config["vips"].append({"name": f"bare{family}", "pool": "web", "renew": False, "mode": "enforce",
                                   "addresses": [vip_address(number, family) for number in range(BARE[0] - 1, VIPS + 1)]})
        node.configure(config)


class Clients:
    """Clients with cookies, each to be used once, by kind."""

    def __init__(self, farm):
        self.farm = farm
        self.waiting = {}
        self.outcomes = []

    def mint(self, kind, keys, place):
        """The servers give cookies under the first of these keys."""
        output(FARM, "key", self.farm.name, "-", text=keys + "\n")
        self.waiting[kind] = [self.farm.new_client(*place) for _ in range(2 * EACH)]
        for client in self.waiting[kind]:
            if (outcome := self.farm.dial(client)) != "asked":
                raise Failed(f"a client without a cookie: {outcome}")

    def mint_all(self, counter):
        places = iter(range(1, 120, 20))
        for kind, number in (("current", counter), ("staged", counter + 1), ("previous", counter - 1),
                             ("retired", counter - RETIRED)):
            first = next(places)
            self.mint(kind, f"{key_text(number)},{key_text(number - 1)}", (first, first + 15))
        self.mint("refused", f"{key_text(counter - RETIRED)},{key_text(counter - RETIRED - 1)}", (126, 150))
        self.mint("foreign", f"{FOREIGN},{FOREIGN[::-1]}", (160, 190))

    def come(self, kind, wanted):
        for _ in range(EACH):
            outcome = self.farm.dial(self.waiting[kind].pop())
            if outcome != wanted:
                raise Failed(f"{kind}: {outcome}, not {wanted}")

    def ask(self):
        for _ in range(EACH):
            if (outcome := self.farm.dial(self.farm.new_client(200, 240))) != "asked":
                raise Failed(f"asking: {outcome}")

    def plain(self):
        for _ in range(EACH):
            outcome, _ = self.farm.dialer.timed(*self.farm.new_client(200, 240), self.farm.port, plain=True)
            if outcome != "plain":
                raise Failed(f"plain: {outcome}")

    def short_cookies(self):
        """From raw sockets, so that the clients' kernel counts none of them."""
        done = subprocess.run(
            ["nsenter", f"--net={self.farm.netns('c1')}", "--", sys.executable, __file__, "--raw",
             vip_address(1, 4), str(self.farm.port)], check=False)
        if done.returncode != 0:
            raise Failed("the raw sender failed")

    def unanswered(self):
        """One SYN that asks, and what its kernel sends again until the dialer gives up."""
        for server in self.farm.servers:
            self.farm.exec(server.node, "ip", "route", "add", SILENT, "via",
                           self.farm.info["nodes"]["c1"]["address4"].rsplit(".", 1)[0] + ".250", "dev", "eth0", "onlink")
        caller = dialer.Dialer(self.farm.netns("c1"))
        outcome = caller.dial(SILENT, vip_address(245, 4), self.farm.port)
        caller.close()
        if not outcome.startswith("failed"):
            raise Failed(f"unanswered: {outcome}")


def send_raw(address, port):
    """SYNs with data and a cookie of four bytes."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP) as raw:
        raw.setsockopt(socket.IPPROTO_IP, dialer.IP_FREEBIND, 1)
        raw.bind(("198.18.210.1", 0))
        raw.connect((address, port))
        for number in range(RAW):
            raw.send(raw_segment(raw.getsockname()[0], address, 30000 + number, port))


def raw_segment(source, destination, sport, port):
    options = bytes([2, 4, 5, 180, 34, 6]) + b"4242" + bytes([1, 1])
    head = sport.to_bytes(2, "big") + port.to_bytes(2, "big") + bytes(8) + bytes([(20 + len(options)) * 4, 2, 255, 255])
    data = b"data"
    pseudo = socket.inet_aton(source) + socket.inet_aton(destination) + bytes([0, 6]) + (
        20 + len(options) + len(data)).to_bytes(2, "big")
    whole = pseudo + head + bytes(4) + options + data
    total = sum(int.from_bytes(whole[at:at + 2], "big") for at in range(0, len(whole), 2))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return head + (~total & 0xffff).to_bytes(2, "big") + bytes(2) + options + data


def sent_by_clients(farm):
    """ActiveOpens and TCPSynRetrans of the clients' kernel."""
    def counter(file, group, name):
        lines = [line.split() for line in farm.exec("c1", "cat", f"/proc/net/{file}").splitlines()
                 if line.startswith(group)]
        return int(dict(zip(*lines))[name])
    return counter("snmp", "Tcp:", "ActiveOpens"), counter("netstat", "TcpExt:", "TCPSynRetrans")


def wait_until(moment):
    time.sleep(max(0, moment - time.time()))


def in_time(start, half):
    """Raises if that part of the interval is over."""
    if time.time() > start + half[1]:
        raise Failed("this machine is too slow for the times of this test")


def servers_sum(farm):
    """The kernels' counters as the servers' own /metrics have them."""
    total = {}
    for server in farm.servers:
        found = scrape(server.netns)
        for name in ("passive", "passive_fail", "passive_alt_key", "cookie_reqd"):
            total[name] = total.get(name, 0) + found.one(f"tfo_kernel_{name}_total")
    return total


def settled_sum(farm, kernel):
    """Once the daemons have read what the kernels count now."""
    names = {"passive": "TCPFastOpenPassive", "passive_fail": "TCPFastOpenPassiveFail",
             "passive_alt_key": "TCPFastOpenPassiveAltKey", "cookie_reqd": "TCPFastOpenCookieReqd"}
    wait_for("the servers' metrics", lambda: all(
        value == kernel[names[name]] for name, value in servers_sum(farm).items()))
    return servers_sum(farm)


def check(farm, before, after, kernel_before, sent):
    """`before`, `after`: scrapes of the balancer at the ends of the halves."""
    sums = Sums(farm, before[0])
    kernel = settled_sum(farm, farm.kernel())
    moved = {name: value - kernel_before[name] for name, value in kernel.items()}

    def reason(*names, half=None, vip=None):
        return sum(difference("tfo_packets_total", half, reason=name, **({"vip": vip} if vip else {}))
                   for name in names)

    def difference(family, half=None, **labels):
        halves = (0, 1) if half is None else (half,)
        return sum(after[one].sum(family, **labels) - before[one].sum(family, **labels) for one in halves)

    def renewed(half=None):
        return difference("tfo_actions_total", half, action="renew")
    syns = sum(after[1].sum("tfo_packets_total", vip=vip) - before[0].sum("tfo_packets_total", vip=vip)
               for vip in ("web4", "web6", "bare4", "bare6"))
    opens, retrans = sent
    sums.equal("ActiveOpens + TCPSynRetrans + raw = SYNs by reason", opens + retrans + RAW, syns)
    sums.equal("request = CookieReqd", reason("request"), moved["cookie_reqd"])
    sums.equal("current + staged + previous + renewed = Passive",
               reason("cookie_current", "cookie_staged", "cookie_previous") + renewed(), moved["passive"])
    sums.equal("staged + previous + renewed to the backup key = PassiveAltKey",
               reason("cookie_staged", "cookie_previous") + renewed(0), moved["passive_alt_key"])
    sums.equal("invalid + length + retired that was not renewed = PassiveFail",
               reason("cookie_invalid", "cookie_length") + reason("cookie_retired") - renewed(), moved["passive_fail"])
    sums.above_zero(retransmissions=retrans, renewed_to_backup=renewed(0), renewed_to_primary=renewed(1),
                    **{name: reason(name) for name in ("request", "plain", "cookie_current", "cookie_staged",
                                                       "cookie_previous", "cookie_retired", "cookie_invalid",
                                                       "cookie_length")})
    return sums.wrong


def run(farm):
    set_up(farm)
    clients = Clients(farm)
    start = (int(time.time() + START) // TIMING.interval + 1) * TIMING.interval
    clients.mint_all(start // TIMING.interval)
    for node in farm.nodes():
        node.start()
    wait_until(start + FIRST_HALF[0])
    lb = farm.balancer.netns
    kernel_before = settled_sum(farm, farm.kernel())
    sent = sent_by_clients(farm)
    before, after = [scrape(lb)], []
    clients.come("current", "data")
    clients.come("previous", "data")
    clients.come("retired", "data")
    clients.come("refused", "refused")
    clients.come("foreign", "refused")
    clients.short_cookies()
    clients.ask()
    in_time(start, FIRST_HALF)
    after.append(scrape(lb))
    wait_until(start + SECOND_HALF[0])
    before.append(scrape(lb))
    clients.come("current", "data")
    clients.come("staged", "data")
    clients.come("retired", "data")
    clients.come("refused", "refused")
    clients.plain()
    clients.unanswered()
    in_time(start, SECOND_HALF)
    after.append(scrape(lb))
    sent = tuple(now - then for now, then in zip(sent_by_clients(farm), sent))
    return check(farm, before, after, kernel_before, sent)


def main():
    if sys.argv[1:2] == ["--raw"]:
        send_raw(sys.argv[2], int(sys.argv[3]))
        return 0
    if os.geteuid() != 0:
        print("needs root: it makes network namespaces", file=sys.stderr)
        return 77
    with clocked_farm(pathlib.Path(sys.argv[1]), TIMING, {"mode": "enforce", "renew": True}) as farm:
        try:
            wrong = run(farm)
        except Failed as error:
            wrong = [str(error)]
        for fault in wrong:
            print(f"FAILED {fault}")
        if wrong:
            print(farm.balancer.complain())
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
