#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Renewal between a real client and a real server: the client holds the cookie of a key that was
rotated away twice, tfod sits between the two in XDP.

With renewal on, the server accepts the data in the SYN and hands out a fresh cookie; without, or
where the VIP only observes, it refuses. Over IPv4 and IPv6, with checksums that are computed and
with such as are not (CHECKSUM_PARTIAL), and on a capture of the client's SYNs in `tfoctl replay`.

  renew_test.py BIN      BIN: the directory of tfod and tfoctl
"""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from peers_test import DEADLINE, FARM, Daemon, Failed, Farm, bpffs, output

FAMILIES = (4, 6)
PORT = "nginx"
# Name: what the VIP asks for, and what it makes of a retired key's cookie (done, would).
VARIANTS = {
    "enforce": ({"mode": "enforce", "renew": True}, ("renew", "renew")),
    "observe": ({"mode": "observe", "renew": True}, ("pass", "renew")),
    "off": ({"mode": "enforce", "renew": False}, ("pass", "pass")),
}
GLOBAL_HEADER, RECORD_HEADER, ETHERNET = 24, 16, 14


class RenewDaemon(Daemon):
    """tfod with one VIP; `wants` is told by the class, since Daemon starts in its constructor."""

    wants: dict = {}

    @classmethod
    def config(cls, farm, directory):
        config = Daemon.config(farm, directory)
        config["vips"] = [{"name": "web", "addresses": list(farm.vip.values()),
                           "ports": [farm.port[PORT]], "pool": "web", **cls.wants}]
        return config

    def actions(self):
        vip = self.ctl("stats")["vips"][0]
        return {"done": vip["actions"], "would": vip["would"], "reasons": vip["reasons"]}


class Capture:
    """The SYNs that pass an interface, as tcpdump saw them."""

    def __init__(self, farm, node, interface, path):
        self.path = path
        self.process = subprocess.Popen(
            ["nsenter", f"--net={farm.netns(node)}", "--", "tcpdump", "-i", interface, "-U", "-w", str(path),
             "-Z", "root", "--immediate-mode", "-Q", "out" if node.startswith("c") else "in",
             f"tcp port {farm.port[PORT]} or (ip6 and tcp port {farm.port[PORT]})"],
            stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
        line = b""
        while b"listening on" not in line:
            line = self.process.stderr.readline()
            if not line:
                raise Failed("tcpdump does not start")

    def wait_for(self, syns):
        deadline = time.monotonic() + DEADLINE
        while len(self.syns()) < syns:
            if time.monotonic() > deadline:
                raise Failed(f"{self.path.name} has {len(self.syns())} SYNs with data, not {syns}")
            time.sleep(0.02)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=DEADLINE)

    def syns(self):
        """The whole segments, behind their pseudo-headers; those with a cookie and data."""
        data = self.path.read_bytes() if self.path.exists() else b""
        return list(syns_of(data))


def frames_of(pcap):
    at = GLOBAL_HEADER
    while at + RECORD_HEADER <= len(pcap):
        length = int.from_bytes(pcap[at + 8:at + 12], sys.byteorder)
        yield pcap[at + RECORD_HEADER:at + RECORD_HEADER + length]
        at += RECORD_HEADER + length


def syns_of(pcap):
    for frame in frames_of(pcap):
        ip = frame[ETHERNET:]
        if len(ip) < 40:
            continue
        if ip[0] >> 4 == 4:
            tcp, addresses = ip[20:int.from_bytes(ip[2:4], "big")], ip[12:20]
        else:
            tcp, addresses = ip[40:40 + int.from_bytes(ip[4:6], "big")], ip[8:40]
        if tcp[13] & 0x12 == 0x02 and cookie_of(tcp) and len(tcp) > (tcp[12] >> 4) * 4:
            yield addresses + len(tcp).to_bytes(4, "big") + (6).to_bytes(4, "big"), tcp


def cookie_of(tcp):
    at, end = 20, (tcp[12] >> 4) * 4
    while at < end and tcp[at] != 0:
        if tcp[at] == 1:
            at += 1
            continue
        if tcp[at] == 34:
            return tcp[at + 2:at + tcp[at + 1]]
        at += tcp[at + 1]
    return b""


def folded(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(int.from_bytes(data[i:i + 2], "big") for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total


def checksum_state(pseudo, tcp):
    if folded(pseudo + tcp) == 0xffff:
        return "right"
    return "unfinished" if int.from_bytes(tcp[16:18], "big") == folded(pseudo) else "wrong"


class Checks:
    def __init__(self):
        self.wrong = 0

    def equal(self, what, got, wanted):
        if got != wanted:
            self.wrong += 1
            print(f"FAILED {what}: {got!r}, not {wanted!r}", flush=True)


def connect(farm, family, count=1):
    return json.loads(farm.run("client", "c1", "python", farm.vip[family], str(farm.port[PORT]), str(count)))


def retire_the_clients_cookies(farm, daemon):
    """Each client gets a cookie, then its key is rotated away twice."""
    farm.run("flush")
    for family in FAMILIES:
        connect(farm, family)
    daemon.rotate()
    daemon.rotate()


def moved(after, before):
    return {name: after[name] - before[name] for name in after}


def check_variant(farm, daemon, name, checks, captures):
    """One connection with the retired cookie, then one with what the server handed out."""
    done, would = VARIANTS[name][1]
    retire_the_clients_cookies(farm, daemon)
    seen = {side: len(capture.syns()) for side, capture in captures.items()}
    for family in FAMILIES:
        what = f"{name} IPv{family}"
        kernel, ours = farm.counters(), daemon.actions()
        result = connect(farm, family)
        first = moved(farm.counters(), kernel)
        now = daemon.actions()
        accepted = 1 if done == "renew" else 0
        checks.equal(f"{what}: data of the SYN accepted, by the client", result["syn_data"], accepted)
        checks.equal(f"{what}: TCPFastOpenPassive", first["TCPFastOpenPassive"], accepted)
        checks.equal(f"{what}: TCPFastOpenPassiveAltKey", first["TCPFastOpenPassiveAltKey"], accepted)
        checks.equal(f"{what}: TCPFastOpenPassiveFail", first["TCPFastOpenPassiveFail"], 1 - accepted)
        checks.equal(f"{what}: cookie_retired", now["reasons"]["cookie_retired"] -
                     ours["reasons"]["cookie_retired"], 1)
        for action in ("renew", "demote", "drop"):
            checks.equal(f"{what}: {action} done", now["done"][action] - ours["done"][action], int(action == done))
            checks.equal(f"{what}: would {action}", now["would"][action] - ours["would"][action],
                         int(action == would))
        kernel, ours = farm.counters(), daemon.actions()
        checks.equal(f"{what}: data accepted with the fresh cookie", connect(farm, family)["syn_data"], 1)
        second = moved(farm.counters(), kernel)
        checks.equal(f"{what}: the fresh cookie is the current key's",
                     (second["TCPFastOpenPassive"], second["TCPFastOpenPassiveAltKey"]), (1, 0))
        checks.equal(f"{what}: and was counted so", daemon.actions()["reasons"]["cookie_current"] -
                     ours["reasons"]["cookie_current"], 1)
    check_captures(name, checks, captures, seen, farm.info["tx_checksum"])


def check_captures(name, checks, captures, seen, unfinished):
    """What the servers got against what the client sent: two SYNs of each family."""
    for capture in captures.values():
        capture.wait_for(seen["client"] + 2 * len(FAMILIES))
    sent = captures["client"].syns()[seen["client"]:]
    got = captures["server"].syns()[seen["server"]:]
    checks.equal(f"{name}: SYNs with cookie and data", (len(sent), len(got)), (4, 4))
    state = "unfinished" if unfinished else "right"
    changed = []
    for ours, theirs in zip(sent, got):
        checks.equal(f"{name}: checksum sent", checksum_state(*ours), state)
        checks.equal(f"{name}: checksum received", checksum_state(*theirs), state)
        changed.append(cookie_of(ours[1]) != cookie_of(theirs[1]))
        same = [tcp[:16] + tcp[18:].replace(cookie_of(tcp), b"") for _, tcp in (ours, theirs)]
        checks.equal(f"{name}: all but cookie and checksum is the same", same[0] == same[1], True)
    renews = VARIANTS[name][1][0] == "renew"
    checks.equal(f"{name}: cookies that were rewritten", changed, [renews, False] * len(FAMILIES))


def check_replay(farm, directory, binaries, checks, captures):
    """The client's SYNs through `tfoctl replay`: the same cookies as the servers got, and checksums
    that tshark finds right, unless they were not computed in the first place."""
    out = directory / "renewed.pcapng"
    command = [str(binaries / "tfoctl"), "-j", "replay", str(captures["client"].path), "--config",
               str(directory / "tfod.json"), "--out", str(out)]
    replayed = json.loads(output(*command))
    renewed = replayed["actions"]["renew"]
    checks.equal("replay: renewed", renewed, replayed["would"]["renew"])
    checks.equal("replay: renewed at least one of each family", renewed >= len(FAMILIES), True)
    fields = output("tshark", "-r", str(out), "-o", "tcp.check_checksum:TRUE", "-Y",
                    'frame.comment contains "cookie_retired"', "-T", "fields", "-e", "tcp.checksum.status",
                    "-e", "tcp.options.tfo.cookie", "-e", "frame.comment")
    rows = [line.split("\t") for line in fields.splitlines()]
    checks.equal("replay: rows of tshark", len(rows), renewed)
    received = {cookie_of(tcp).hex() for _, tcp in captures["server"].syns()}
    for status, cookie, comment in rows:
        if not farm.info["tx_checksum"]:
            checks.equal("replay: checksum status, 1 is good", status, "1")
        checks.equal("replay: the verdict", comment.split()[-1], "renew")
        checks.equal("replay: the servers got that cookie", cookie.replace(":", "") in received, True)
    lines = output(*[part for part in command[:-2] if part != "-j"], "--frames")
    checks.equal("replay: lines with their verdict", sum(line.endswith("  renew") for line in lines.splitlines()),
                 renewed)


@contextlib.contextmanager
def running_farm(partial):
    name = output(FARM, "up", "auto", "--servers", "1", "--clients", "1",
                  *(["--tx-checksum"] if partial else [])).strip()
    try:
        output(FARM, "serve", name)
        yield Farm(name)
    finally:
        output(FARM, "down", name)


@contextlib.contextmanager
def running_captures(farm, directory):
    captures = {}
    try:
        captures["client"] = Capture(farm, "c1", farm.info["nodes"]["c1"]["interface"], directory / "client.pcap")
        captures["server"] = Capture(farm, "s1", "back0", directory / "server.pcap")
        yield captures
    finally:
        for capture in captures.values():
            capture.stop()


def test_variant(farm, binaries, directory, name, checks):
    directory.mkdir()
    RenewDaemon.wants = VARIANTS[name][0]
    with bpffs(directory), running_captures(farm, directory) as captures:
        daemon = RenewDaemon(binaries, farm, directory)
        try:
            daemon.wait_ready()
            check_variant(farm, daemon, name, checks, captures)
            if name == "enforce":
                check_replay(farm, directory, binaries, checks, captures)
        finally:
            daemon.stop()


def test(binaries, directory, checks):
    for partial in (False, True):
        with running_farm(partial) as farm:
            for name in VARIANTS:
                before = checks.wrong
                test_variant(farm, binaries, directory / f"{name}-{int(partial)}", name, checks)
                print(f"{name:8} {'unfinished' if partial else 'computed':11} "
                      f"{'ok' if checks.wrong == before else 'FAILED'}", flush=True)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if os.geteuid() != 0:
        print("needs root: it makes network namespaces", file=sys.stderr)
        return 77
    for tool in ("tcpdump", "tshark"):
        if not shutil.which(tool):
            print(f"needs {tool}", file=sys.stderr)
            return 77
    checks = Checks()
    with tempfile.TemporaryDirectory(prefix="tfo-renew-") as directory:
        try:
            test(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(directory), checks)
        except Failed as error:
            print(f"FAILED {error}")
            return 1
    return 1 if checks.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
