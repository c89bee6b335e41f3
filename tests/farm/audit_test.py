#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""`tfoctl key audit` in a farm of real servers: one in step, one whose primary is the key before,
one whose listener has a key of its own, one whose listener has Fast Open off, and one that does not
hold the VIP and would pass a SYN on. By their own addresses and for the VIP at each next hop, IPv4
and IPv6, with tfod's keys and with keys from a file. Then with a pool whose keys follow the clock, in
both halves of an interval. No half-open connection may be left behind.

  audit_test.py BIN      BIN: the directory of tfod and tfoctl
"""
import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
FARM = str(ROOT / "tools/farm/farm")
DEADLINE = 20
PORT = 8443
CLOSED = 8444
TCP_FASTOPEN_KEY = 33
SILENT = "198.51.100.200"  # a neighbour that nobody is
NOBODY = "198.51.100.201"  # the same, and the kernel has to find that out
LOST = "100.64.7.7"  # the balancer's, but servers send what is for it elsewhere

CURRENT, PREVIOUS, RETIRED, OWN = (
    "-".join([f"{n:02x}{n + 1:02x}{n + 2:02x}{n + 3:02x}"] * 4) for n in (0x11, 0x31, 0x51, 0x71))

INTERVAL = 10  # of the derived pool
DELAY = 2  # servers change that much after an edge or a middle

IN_STEP, STALE, PRIVATE, OFF, NO_VIP = "s1", "s2", "s3", "s4", "s5"
VERDICTS = {IN_STEP: "current", STALE: "previous", PRIVATE: "private", OFF: "off", NO_VIP: "retired"}


class Failed(Exception):
    """The test cannot go on."""


def run(*command, text=None):
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


def output(*command, text=None):
    done = run(*command, text=text)
    if done.returncode != 0:
        raise Failed(f"{' '.join(command)}: exit {done.returncode}: {done.stderr}")
    return done.stdout


def wait_for(what, condition):
    deadline = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > deadline:
            raise Failed(f"waited in vain for {what}")
        time.sleep(0.02)


def serve(port, queue, key):
    """What runs in a server's namespace: a listener that accepts nothing. The end of standard input
    ends it."""
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(("::", port))
        if key:
            listener.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_KEY, bytes.fromhex(key.replace("-", "")))
        if queue:
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, queue)
        listener.listen(128)
        print("listens", flush=True)
        sys.stdin.read()


class Farm:
    def __init__(self, name):
        self.info = json.loads(output(FARM, "info", name, "--json"))
        self.name = name

    def netns(self, node):
        return self.info["nodes"][node]["netns"]

    def inside(self, node, *command, text=None):
        return output("nsenter", f"--net={self.netns(node)}", "--", *command, text=text)

    def sysctl(self, node, name, value):
        self.inside(node, "sh", "-c", f"cat >/proc/sys/net/{name}", text=value)

    def own(self, node):
        return [self.info["nodes"][node]["address4"], self.info["nodes"][node]["address6"]]

    @staticmethod
    def back(node):
        return [f"203.0.113.{node[1:]}", f"2001:db8:2::{node[1:]}"]

    def listen(self, stack, node, queue, key=""):
        process = stack.enter_context(subprocess.Popen(
            ["nsenter", f"--net={self.netns(node)}", "--", sys.executable, __file__, "--serve", str(PORT),
             str(queue), key], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        stack.callback(process.stdin.close)
        if process.stdout.readline() != "listens\n":
            raise Failed(f"no listener in {node}")

    def half_open(self, node):
        return self.inside(node, "ss", "-Htan", "state", "syn-recv").strip()


def build(farm, stack):
    keys = {IN_STEP: f"{CURRENT},{PREVIOUS}", STALE: f"{PREVIOUS},{RETIRED}", PRIVATE: f"{CURRENT},{PREVIOUS}",
            OFF: f"{CURRENT},{PREVIOUS}", NO_VIP: f"{RETIRED},{OWN}"}
    for node, pair in keys.items():
        farm.sysctl(node, "ipv4/tcp_fastopen_key", pair)
        farm.listen(stack, node, 0 if node == OFF else 64, OWN if node == PRIVATE else "")
    for address in ("192.0.2.10/32", "2001:db8::10/128"):
        farm.inside(NO_VIP, "ip", "address", "del", address, "dev", "lo")
    farm.sysctl(NO_VIP, "ipv4/ip_forward", "1")
    farm.sysctl(NO_VIP, "ipv6/conf/all/forwarding", "1")
    # Its frames end nowhere; and this next hop the kernel must look for.
    farm.inside("lb", "ip", "neighbour", "add", SILENT, "lladdr", "02:00:5e:00:01:c8", "dev", "up0", "nud",
                "permanent")
    farm.inside("lb", "ip", "address", "add", f"{LOST}/32", "dev", "up0")
    farm.inside("lb", "ip", "neighbour", "del", farm.back(IN_STEP)[0], "dev", "s1")


class Balancer:
    """tfod and tfoctl in the balancer's namespace."""

    def __init__(self, binaries, farm, directory, stack):
        self.farm = farm
        self.enter = ["nsenter", f"--net={farm.netns('lb')}", "--"]
        self.tfoctl = [*self.enter, str(binaries / "tfoctl"), "--socket", f"{directory}/tfod.sock"]
        self.binaries, self.directory = binaries, directory
        self.faults = []
        (directory / "bpf").mkdir()
        output("mount", "-t", "bpf", "bpf", str(directory / "bpf"))
        stack.callback(output, "umount", str(directory / "bpf"))
        self.config = {
            "instance": farm.name,
            "interfaces": [{"name": farm.info["balancer_interface"], "mode": "native"}],
            "pools": {"web": {"store": "file", "file": f"{directory}/web.keys", "interval": "0"}},
            "vips": [{"name": "web", "addresses": [farm.info["vip4"], farm.info["vip6"]], "ports": [PORT],
                      "pool": "web"}],
            "monitor": {"tracked": [{"name": "lb", "prefixes": farm.own("lb")}]},
            "http": None, "socket": f"{directory}/tfod.sock", "state_directory": str(directory),
            "bpffs": f"{directory}/bpf"}
        config = self.write()
        log = stack.enter_context(open(directory / "tfod.log", "wb"))
        self.process = subprocess.Popen([*self.enter, str(binaries / "tfod"), "--config", str(config)],
                                        stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        stack.callback(self.stop, self.process)
        wait_for("tfod", lambda: run(*self.tfoctl, "status").returncode == 0)
        output(*self.tfoctl, "key", "import", "web", "--key-file", "-", text=f"{CURRENT}\n{PREVIOUS}\n{RETIRED}\n")

    def write(self):
        path = self.directory / "tfod.json"
        path.write_text(json.dumps(self.config), encoding="utf-8")
        return path

    def status(self):
        return json.loads(output(*self.tfoctl, "-j", "status"))

    def stop(self, process):
        run(*self.tfoctl, "detach")
        try:
            process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def check(self, what, fits, shown=""):
        print(f"{'ok    ' if fits else 'FAILED'} {what}", flush=True)
        if not fits:
            self.faults.append(what)
            print(shown, flush=True)

    def audit(self, *arguments, code, text=None):
        """The document of `key audit -j`, and its rows by (server, port, via)."""
        done = run(*self.tfoctl, "-j", "key", "audit", *arguments, text=text)
        name = f"exit {code} of key audit {' '.join(arguments)}"
        self.check(name, done.returncode == code, f"exit {done.returncode}\n{done.stdout}{done.stderr}")
        document = json.loads(done.stdout) if done.stdout else {"servers": []}
        return document, {(row["server"], row["port"], row["via"]): row for row in document["servers"]}

    def verdict(self, rows, key, wanted, **more):
        row = rows.get(key, {})
        fits = row.get("verdict") == wanted and all(row.get(name) == value for name, value in more.items())
        self.check(f"{key}: {wanted} {more or ''}", fits, json.dumps(row, indent=1))
        return row


def check_own_addresses(balancer, farm):
    """The port comes from the pool's VIPs."""
    addresses = [address for node in VERDICTS for address in farm.own(node)]
    document, rows = balancer.audit(*addresses, code=1)
    for node, wanted in VERDICTS.items():
        for address in farm.own(node):
            row = balancer.verdict(rows, (address, PORT, None), wanted, in_step=node == IN_STEP,
                                   stale=node in (STALE, NO_VIP), syns=1)
            if wanted in ("current", "previous", "retired"):
                balancer.check(f"  {address}: its generation is named",
                               row["generation"]["place"] == wanted and len(row["generation"]["id"]) == 16)
    balancer.check("the pool is named", document["pool"] == "web" and document["phase"] == "steady")
    balancer.audit(*farm.own(IN_STEP), code=0)


def check_vip(balancer, farm, *how, text=None):
    hops = [hop for node in VERDICTS for hop in farm.back(node)]
    arguments = ["--vip", farm.info["vip4"], "--vip", f"[{farm.info['vip6']}]:{PORT}", "--via", *hops,
                 "--port", str(PORT), *how]
    _, rows = balancer.audit(*arguments, code=1, text=text)
    balancer.check("each VIP at the next hops of its family", len(rows) == len(hops), rows.keys())
    for node, wanted in VERDICTS.items():
        for vip, hop in zip((farm.info["vip4"], farm.info["vip6"]), farm.back(node)):
            row = balancer.verdict(rows, (vip, PORT, hop), "unreachable" if node == NO_VIP else wanted)
            if node == NO_VIP:
                balancer.check("  it says why", "does not hold the VIP" in row["meaning"], row["meaning"])


def check_silence(balancer, farm):
    server = farm.own(IN_STEP)
    _, rows = balancer.audit(f"{server[0]}:{CLOSED}", f"[{server[1]}]:{CLOSED}", SILENT, "203.0.113.99",
                             "--tries", "2", "--timeout", "0.3", code=1)
    for address in server:
        balancer.verdict(rows, (address, CLOSED, None), "closed", syns=1)
    balancer.verdict(rows, (SILENT, PORT, None), "no_answer", syns=2)
    balancer.verdict(rows, ("203.0.113.99", PORT, None), "unreachable", syns=0)
    _, rows = balancer.audit(NOBODY, code=1)
    row = balancer.verdict(rows, (NOBODY, PORT, None), "unreachable")
    balancer.check("  by this host's own ICMP", "host unreachable" in row["meaning"], row["meaning"])
    _, rows = balancer.audit("--source", LOST, server[0], "--tries", "2", "--timeout", "0.3", code=1)
    balancer.verdict(rows, (server[0], PORT, None), "no_answer", source=LOST)


def check_many(balancer, farm):
    """More answers at once than a socket's queue holds by default."""
    ports = ",".join(str(port) for port in range(1000, 1900))
    _, rows = balancer.audit(farm.own(IN_STEP)[0], "--port", ports, code=1)
    closed = [row for row in rows.values() if row["verdict"] == "closed" and row["syns"] == 1]
    balancer.check("900 ports at once, each heard at its first SYN", len(closed) == 900, len(closed))


def check_monitor(balancer):
    """No socket knows of an audit's connections; the monitor saw their SYNs leave."""
    def lb():
        return next(one for one in balancer.status()["monitor"]["subjects"] if one["name"] == "lb")
    wait_for("the SYNs of 900 ports", lambda: lb()["syns_out"] >= 900)
    seen = lb()
    balancer.check("an audit's SYN-ACKs are answers, and its resets",
                   seen["answered"] >= 10 and seen["unsolicited"] == 0 and seen["resets"] == 0, seen)


def check_no_alert(balancer):
    """Nor of SYNs that went to next hops on interfaces that tfod does not know."""
    alerts = json.loads(output(*balancer.tfoctl, "-j", "alert", "list"))["alerts"]
    balancer.check("no audit is a reflection", not [one for one in alerts if one["kind"] == "reflection"], alerts)


def derive(balancer, secret, age=0):
    """What a server holds now, or held `age` seconds ago."""
    return output(str(balancer.binaries / "tfoctl"), "key", "derive", "--secret", str(secret), "--interval",
                  str(INTERVAL), "--at", str(int(time.time()) - DELAY - age)).strip()


def check_half(balancer, farm, secret, phase, stale):
    """In one half of an interval, early enough to be done before it ends."""
    wait_for(f"the beginning of {phase}", lambda: (time.time() - DELAY) % (INTERVAL / 2) < 2 and
             balancer.status()["pools"][0]["state"] == phase)
    right, late = [IN_STEP, NO_VIP], STALE
    for node in (*right, late):
        farm.sysctl(node, "ipv4/tcp_fastopen_key", derive(balancer, secret, INTERVAL if node == late else 0))
    document, rows = balancer.audit(*(address for node in (*right, late) for address in farm.own(node)), code=1)
    for node in right:
        for address in farm.own(node):
            balancer.verdict(rows, (address, PORT, None), "current", in_step=True, stale=False)
    for address in farm.own(late):
        balancer.verdict(rows, (address, PORT, None), stale, in_step=False, stale=True)
    said = {name: document.get(name, "") for name in ("phase", "note", "caution")}
    balancer.check(f"{phase}: nothing to wait for", said == {"phase": phase, "note": None, "caution": None}, said)
    balancer.audit(*(address for node in right for address in farm.own(node)), code=0)


def check_derived(balancer, farm):
    secret = balancer.directory / "web.secret"
    secret.touch(0o600)
    secret.write_bytes(os.urandom(32))
    balancer.config["pools"]["web"] = {"store": "derived", "secret": str(secret), "interval": f"{INTERVAL}s",
                                       "max_skew": "0s"}
    balancer.write()
    balancer.process.send_signal(signal.SIGHUP)
    wait_for("the derived pool", lambda: balancer.status()["pools"][0]["store"] == "derived")
    halves = {"prepare": "previous", "staged": "retired"}
    if (time.time() - DELAY) % INTERVAL < INTERVAL / 2:  # the one that comes next is first
        halves = dict(reversed(halves.items()))
    for phase, stale in halves.items():
        check_half(balancer, farm, secret, phase, stale)
    secret.unlink()
    wait_for("key_store_failed", lambda: "key_store_failed" in json.dumps(balancer.status()["conditions"]))
    done = run(*balancer.tfoctl, "-j", "key", "audit", farm.own(IN_STEP)[0])
    caution = json.loads(done.stdout)["caution"] or ""
    balancer.check("without its secret tfod may be the one that is behind",
                   "may be the stale ones: key_store_failed (" in caution, done.stdout)


def check_text(balancer, farm):
    done = run(*balancer.tfoctl, "key", "audit", *(farm.own(node)[0] for node in VERDICTS))
    for words in ("stale: others mint with the current key", "TCP_FASTOPEN_KEY", "in step", "1 of 5 in step",
                  "SYN-ACK without a cookie", "Asked from 198.51.100.1"):
        balancer.check(f"the table says '{words}'", words in done.stdout, done.stdout + done.stderr)
    balancer.check("no key in it", not any(key in done.stdout + done.stderr for key in (CURRENT, PREVIOUS, OWN)))
    print(done.stdout)
    slow = run(*balancer.tfoctl, "key", "audit", SILENT, "--tries", "1", "--timeout", "2.3")
    balancer.check("it says that it waits", "waiting for 1 of 1" in slow.stderr, slow.stderr)


def check_refusals(balancer, farm):
    hop = farm.back(IN_STEP)[0]
    for words, arguments in {
            "behind a gateway": ["--vip", farm.info["vip4"], "--via", "192.0.2.77"],
            "address of this host": ["--vip", farm.info["vip4"], "--via", farm.own("lb")[0]],
            "no route": ["--vip", farm.info["vip4"], "--via", "100.64.0.1"],
            "--vip ADDRESS": ["--via", hop],
            "cannot send from": ["--source", "192.0.2.99", hop],
            "no pool \"nil\"": ["--pool", "nil", hop]}.items():
        done = run(*balancer.tfoctl, "key", "audit", *arguments)
        balancer.check(f"refused: {words}", done.returncode == 2 and words in done.stderr and not done.stdout,
                       done.stdout + done.stderr)
    done = run("setpriv", "--bounding-set=-net_raw", *balancer.tfoctl, "key", "audit", hop)
    balancer.check("without privilege it says so", done.returncode == 2 and "CAP_NET_RAW" in done.stderr, done.stderr)


def test(binaries, directory, stack):
    name = output(FARM, "up", "auto", "--servers", "5", "--clients", "1").strip()
    stack.callback(output, FARM, "down", name)
    farm = Farm(name)
    build(farm, stack)
    balancer = Balancer(binaries, farm, directory, stack)
    check_own_addresses(balancer, farm)
    check_many(balancer, farm)
    check_monitor(balancer)
    check_vip(balancer, farm)
    # Without tfod: keys from standard input.
    check_vip(balancer, farm, "--socket", "/nonexistent", "--key-file", "-", text=f"{CURRENT}\n{PREVIOUS}\n")
    check_silence(balancer, farm)
    check_text(balancer, farm)
    check_refusals(balancer, farm)
    check_derived(balancer, farm)
    check_no_alert(balancer)
    for node in VERDICTS:
        left = farm.half_open(node)
        balancer.check(f"no half-open connection in {node}", not left, left)
    print(f"{len(balancer.faults)} failed")
    return 1 if balancer.faults else 0


def main():
    if sys.argv[1:2] == ["--serve"]:
        serve(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
        return 0
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if os.geteuid() != 0:
        print("needs root: it makes network namespaces", file=sys.stderr)
        return 77
    with tempfile.TemporaryDirectory(prefix="tfo-audit-") as directory, contextlib.ExitStack() as stack:
        try:
            return test(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(directory), stack)
        except Failed as error:
            print(f"FAILED {error}")
            return 1


if __name__ == "__main__":
    sys.exit(main())
