#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Enforcement between a real client and a real server.

Demote: the client's cookie is of a key that nobody holds any more. tfod makes it a request in XDP: the
server does an ordinary handshake, takes the data once, and hands out a cookie that works. Renew beside
it. Over IPv4 and IPv6, with checksums that the client's stack computes and with such as it leaves to
the device (CHECKSUM_PARTIAL), and with a way to the server that computes them then or does not: no
server ever sees a wrong one.

Wrong key: validator and servers hold different keys, and invalid cookies are to be dropped. No client
loses a SYN, and drop_disarmed is raised.

  policy_test.py BIN      BIN: the directory of tfod and tfoctl
"""
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

from peers_test import DEADLINE, FARM, Daemon, Failed, bpffs, output
from renew_test import FAMILIES, PORT, Checks, RenewDaemon, connect, moved, running_farm

# Name: what the VIP asks for, how many keys are accepted besides the servers', what is done.
VARIANTS = {
    "demote": ({"mode": "enforce", "on_invalid": "demote"}, 0, "demote"),
    "renew": ({"mode": "enforce", "renew": True, "on_invalid": "demote"}, 4, "renew"),
    "observe": ({"mode": "observe", "on_invalid": "demote"}, 0, "pass"),
}
WRONG_KEY = {"mode": "enforce", "on_invalid": "drop", "drop_above": 2, "unproven_rate": 50}
WRONG_CONNECTIONS = 12


class PolicyDaemon(RenewDaemon):
    accepted = 4
    serves = True

    @classmethod
    def config(cls, farm, directory):
        config = RenewDaemon.config.__func__(cls, farm, directory)
        config["pools"]["web"]["accept_generations"] = cls.accepted
        if not cls.serves:
            del config["server"]
        return config

    def conditions(self):
        return {condition["id"]: condition for condition in self.ctl("status")["conditions"]}


def snmp(farm, node, name):
    """A counter of the node's /proc/net/snmp."""
    text = output("nsenter", f"--net={farm.netns(node)}", "--", "cat", "/proc/net/snmp")
    lines = [line.split() for line in text.splitlines() if line.startswith("Tcp:")]
    return int(dict(zip(*lines))[name])


def checksum_errors(farm):
    return {node: snmp(farm, node, "InCsumErrors") for node in farm.info["nodes"]}


def ways_on(farm):
    """The balancer's interfaces towards the servers: all but the one that clients come in by, and lo."""
    links = json.loads(output("nsenter", f"--net={farm.netns('lb')}", "--", "ip", "-j", "link"))
    return [link["ifname"] for link in links
            if link["ifname"] not in ("lo", farm.info["balancer_interface"])]


def set_offload(farm, on):
    for name in ways_on(farm):
        subprocess.run(["nsenter", f"--net={farm.netns('lb')}", "--", "ethtool", "-K", name, "tx", "on" if on else "off"],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def lose_the_cookies(farm, daemon):
    """Each client gets a cookie, then its key is rotated away twice."""
    farm.run("flush")
    for family in FAMILIES:
        connect(farm, family)
    daemon.rotate()
    daemon.rotate()


def check_family(farm, daemon, what, done, checks, family):
    kernel, ours = farm.counters(), daemon.actions()
    opened = snmp(farm, "s1", "PassiveOpens")
    result = connect(farm, family)
    first, now = moved(farm.counters(), kernel), daemon.actions()
    accepted = int(done == "renew")
    checks.equal(f"{what}: connections answered", result["connections"], 1)
    checks.equal(f"{what}: data of the SYN accepted, by the client", result["syn_data"], accepted)
    checks.equal(f"{what}: connections at the server", snmp(farm, "s1", "PassiveOpens") - opened, 1)
    checks.equal(f"{what}: Passive, PassiveFail, CookieReqd",
                 tuple(first[f"TCPFastOpen{name}"] for name in ("Passive", "PassiveFail", "CookieReqd")),
                 (accepted, int(done == "pass"), int(done == "demote")))
    would = "demote" if done == "pass" else done
    for action in ("renew", "demote", "drop"):
        checks.equal(f"{what}: {action} done", now["done"][action] - ours["done"][action], int(action == done))
        checks.equal(f"{what}: would {action}", now["would"][action] - ours["would"][action], int(action == would))
    reason = "cookie_retired" if done == "renew" else "cookie_invalid"
    checks.equal(f"{what}: {reason}", now["reasons"][reason] - ours["reasons"][reason], 1)
    kernel = farm.counters()
    checks.equal(f"{what}: data accepted with the fresh cookie", connect(farm, family)["syn_data"], 1)
    second = moved(farm.counters(), kernel)
    checks.equal(f"{what}: the fresh cookie is the current key's",
                 (second["TCPFastOpenPassive"], second["TCPFastOpenPassiveAltKey"]), (1, 0))


@contextlib.contextmanager
def running(farm, binaries, directory, wants, accepted=4, serves=True):
    directory.mkdir()
    PolicyDaemon.wants, PolicyDaemon.accepted, PolicyDaemon.serves = wants, accepted, serves
    with bpffs(directory):
        daemon = PolicyDaemon(binaries, farm, directory)
        try:
            daemon.wait_ready()
            yield daemon
        finally:
            daemon.stop()


def check_rewrites(farm, binaries, directory, unfinished, checks):
    for name, (wants, accepted, done) in VARIANTS.items():
        for completed in (False, True):
            before = checks.wrong
            set_offload(farm, not completed)
            what = f"{name}, {'unfinished' if unfinished else 'computed'}, {'completed' if completed else 'as it is'}"
            errors = checksum_errors(farm)
            with running(farm, binaries, directory / what.replace(" ", ""), wants, accepted) as daemon:
                lose_the_cookies(farm, daemon)
                for family in FAMILIES:
                    check_family(farm, daemon, f"{what} IPv{family}", done, checks, family)
            checks.equal(f"{what}: InCsumErrors", checksum_errors(farm), errors)
            print(f"{what:42} {'ok' if checks.wrong == before else 'FAILED'}", flush=True)


def check_wrong_key(farm, binaries, directory, checks):
    """The servers keep the keys of the run before; this validator has a ring of its own."""
    with running(farm, binaries, directory / "wrong", WRONG_KEY, serves=False) as daemon:
        farm.run("flush")
        connect(farm, 4)
        result = connect(farm, 4, WRONG_CONNECTIONS)
        checks.equal("wrong key: connections answered", result["connections"], WRONG_CONNECTIONS)
        actions = daemon.actions()
        checks.equal("wrong key: nothing dropped", (actions["done"]["drop"], actions["would"]["drop"]), (0, 0))
        # A retransmitted SYN has no option: it would be a plain one.
        checks.equal("wrong key: no SYN came twice", actions["reasons"]["plain"], 0)
        checks.equal("wrong key: all were invalid", actions["reasons"]["cookie_invalid"], WRONG_CONNECTIONS)
        deadline = time.monotonic() + DEADLINE
        while "drop_disarmed" not in daemon.conditions() and time.monotonic() < deadline:
            time.sleep(0.1)
        checks.equal("wrong key: drop_disarmed is raised", daemon.conditions().get("drop_disarmed", {}).get("subject"),
                     "web")
    print(f"wrong key {'ok' if not checks.wrong else 'FAILED'}", flush=True)


def check_refused(farm, binaries, directory, checks):
    """Servers that take data without a cookie: a VIP that demotes does not start."""
    server = ["nsenter", f"--net={farm.netns('s1')}", "--", "sysctl", "-qw"]
    output(*server, "net.ipv4.tcp_fastopen=0x203")
    directory.joinpath("refused").mkdir()
    PolicyDaemon.wants, PolicyDaemon.accepted, PolicyDaemon.serves = VARIANTS["demote"][0], 0, True
    config = directory / "refused" / "tfod.json"
    config.write_text(json.dumps(PolicyDaemon.config(farm, directory / "refused")), encoding="utf-8")
    with bpffs(directory / "refused"):
        done = subprocess.run(["nsenter", f"--net={farm.netns('lb')}", "--", str(binaries / "tfod"), "--config", str(config)],
                              capture_output=True, text=True, check=False, timeout=DEADLINE)
    output(*server, "net.ipv4.tcp_fastopen=0x3")
    checks.equal("bit 0x200: exit code", done.returncode, 2)
    said = done.stdout + done.stderr
    checks.equal("bit 0x200: the field is named", "vips[0].on_invalid" in said and "0x203" in said, True)


def test(binaries, directory, checks):
    for unfinished in (False, True):
        with running_farm(unfinished) as farm:
            check_rewrites(farm, binaries, directory / str(int(unfinished)), unfinished, checks)
            if not unfinished:
                check_wrong_key(farm, binaries, directory, checks)
                check_refused(farm, binaries, directory, checks)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if os.geteuid() != 0:
        print("needs root: it makes network namespaces", file=sys.stderr)
        return 77
    if not shutil.which("ethtool"):
        print("needs ethtool", file=sys.stderr)
        return 77
    checks = Checks()
    with tempfile.TemporaryDirectory(prefix="tfo-policy-") as name:
        directory = pathlib.Path(name)
        for sub in ("0", "1"):
            (directory / sub).mkdir()
        try:
            test(pathlib.Path(sys.argv[1]).resolve(), directory, checks)
        except Failed as error:
            print(f"FAILED {error}")
            return 1
    return 1 if checks.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
