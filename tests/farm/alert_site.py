# SPDX-License-Identifier: BSD-2-Clause
"""Who tells of alerts and who is told: nodes with tfod, Debian's Alertmanager, and a receiver of its
messages, all on this network namespace's loopback. For alertmanager_test.py."""
import contextlib
import http.client
import http.server
import json
import pathlib
import re
import signal
import socket
import struct
import subprocess
import threading
import time
import urllib.error
import urllib.request

import synacks

DEADLINE = 25
AM_PORT = 9093
BROADCAST = b"\xff" * 6
VIP = "192.0.2.10"
PORT = 443
README = pathlib.Path(__file__).resolve().parents[2] / "README.md"
EXAMPLE_RECEIVER = "http://10.0.0.20:8080"  # in README's alertmanager.yml


class Failed(Exception):
    """The test cannot go on."""


def wait_for(what, condition, seconds=DEADLINE):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise Failed(f"gave up waiting for {what} after {seconds} s")
        time.sleep(0.02)
    return value


def checked(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failed(f"{' '.join(command)}: exit {done.returncode}: {done.stderr}{done.stdout}")
    return done.stdout


def example():
    """README's alertmanager.yml."""
    found = re.findall(r"```yaml\n(route:.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    if len(found) != 1:
        raise Failed(f"README has {len(found)} examples of an alertmanager.yml")
    return found[0]


def changed(text, before, after):
    if before not in text:
        raise Failed(f"README's alertmanager.yml has no {before!r}")
    return text.replace(before, after)


class Receiver:
    """What Alertmanager's messages say, oldest first: (path, message)."""

    def __init__(self):
        self.messages = []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):  # pylint: disable=invalid-name
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.messages.append((self.path, json.loads(body)))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def told(self, path, status, rule, instance, after=0):
        """The first message from number `after` on that says of this alert that it has this status."""
        for at, message in self.messages[after:]:
            for alert in message["alerts"] if at == path else []:
                labels = alert["labels"]
                if (alert["status"], labels["rule"], labels["instance"]) == (status, rule, instance):
                    return message
        return None


class Alertmanager:
    """The distribution's, with README's configuration, but for its receiver's address and its times."""

    def __init__(self, directory, receiver):
        self.directory = directory
        self.config = directory / "alertmanager.yml"
        text = changed(example(), EXAMPLE_RECEIVER, receiver)
        text = changed(text, "group_wait: 10s", "group_wait: 1s")
        text = changed(text, "group_interval: 1m", "group_interval: 1s")
        self.config.write_text(text, encoding="utf-8")
        self.process = None
        self.start()

    def start(self):
        with open(self.directory / "alertmanager.log", "ab") as log:
            self.process = subprocess.Popen(
                ["prometheus-alertmanager", f"--config.file={self.config}",
                 f"--storage.path={self.directory}/alertmanager", "--cluster.listen-address=",
                 f"--web.listen-address=127.0.0.1:{AM_PORT}",
                 "--data.maintenance-interval=500ms"],  # whom it has told survives its death
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for("Alertmanager", self.ready)

    def wait_saved(self):
        """Until the file has whom it has told what: one that began to be written before is not enough."""
        log = self.directory / "alertmanager/nflog"
        for _ in range(2):
            before = log.stat().st_mtime_ns if log.exists() else 0
            wait_for("Alertmanager's file", lambda before=before: log.exists() and log.stat().st_mtime_ns != before)

    def kill9(self):
        self.process.kill()
        self.process.wait()

    @staticmethod
    def get(path):
        with urllib.request.urlopen(f"http://127.0.0.1:{AM_PORT}{path}", timeout=5) as reply:
            return reply.read()

    def ready(self):
        with contextlib.suppress(urllib.error.URLError, http.client.HTTPException, OSError):
            return bool(self.get("/-/ready"))
        return False

    def alerts(self):
        """Those that are not resolved, by rule, instance and severity."""
        found = {}
        for alert in json.loads(self.get("/api/v2/alerts")):
            labels = alert["labels"]
            key = labels["rule"], labels["instance"], labels["severity"]
            if key in found:
                raise Failed(f"Alertmanager has {key} twice")
            found[key] = alert
        return found

    def groups(self):
        return json.loads(self.get("/api/v2/alerts/groups"))


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def bad_cookie_syn(sport):
    """A SYN with data and a cookie that nobody gave out."""
    option = bytes([34, 10]) + b"nocookie"
    data = b"hello!"
    tcp = struct.pack("!HHIIBBHHH", sport, PORT, 1, 0, 8 << 4, 2, 65535, 0, 0) + option + bytes([1, 1])
    source, to = socket.inet_aton("198.51.100.7"), socket.inet_aton(VIP)
    length = len(tcp) + len(data)
    pseudo = source + to + struct.pack("!BBH", 0, 6, length)
    tcp = tcp[:16] + struct.pack("!H", checksum(pseudo + tcp + data)) + tcp[18:]
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + length, 0, 0, 64, 6, 0, source, to)
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    return BROADCAST + bytes(6) + b"\x08\x00" + ip + tcp + data


def unasked_synack(number):
    """To the VIP, which asked for none, from one of many."""
    return synacks.frame(BROADCAST, (f"203.0.113.{1 + number % 200}", VIP), (PORT, number), synacks.SYN_ACK)


class Traffic:
    """Of frames by number, while it is on."""

    RATE = 50  # a second

    def __init__(self, interface, frame):
        self.frame = frame
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self.socket.bind((f"{interface}p", 0))
        self.on = threading.Event()
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        sport = 1024
        while True:
            self.on.wait()
            sport = sport % 60000 + 1024
            self.socket.send(self.frame(sport))
            time.sleep(1 / self.RATE)


class Node:
    """tfod on an interface of its own. `clock`: seconds that its clock is ahead."""

    def __init__(self, binaries, directory, name, alerts, clock=None):
        self.name, self.interface = name, f"t{name}"
        self.instance = f"{socket.gethostname()}/{name}"
        self.directory = directory / name
        (self.directory / "bpf").mkdir(parents=True)
        checked("ip", "link", "add", self.interface, "type", "veth", "peer", "name", f"{self.interface}p")
        checked("ip", "link", "set", self.interface, "up")
        checked("ip", "link", "set", f"{self.interface}p", "up")
        checked("mount", "-t", "bpf", "bpf", f"{self.directory}/bpf")
        self.command = [str(binaries / "tfod")]
        if clock is not None:
            self.set_clock(clock)
            self.command = [str(binaries / "tests/tfod_clocked"), f"{self.directory}/clock"]
        self.config = {
            "instance": name,
            "interfaces": [{"name": self.interface}],
            "pools": {"web": {"file": f"{self.directory}/web.keys"}},
            "vips": [{"name": "web", "addresses": [VIP], "ports": [PORT], "pool": "web"}],
            "http": None,
            "socket": f"{self.directory}/tfod.sock",
            "state_directory": f"{self.directory}/state",
            "bpffs": f"{self.directory}/bpf",
            "alerts": alerts,
        }
        self.process = None
        self.traffic = Traffic(self.interface, bad_cookie_syn)
        self.attack = Traffic(self.interface, unasked_synack)

    def set_clock(self, ahead):
        (self.directory / "clock").write_text(f"{ahead}\n", encoding="ascii")

    def write(self):
        (self.directory / "tfod.json").write_text(json.dumps(self.config), encoding="utf-8")

    def start(self):
        self.write()
        with open(self.directory / "tfod.log", "ab") as log:
            self.process = subprocess.Popen([*self.command, "--config", f"{self.directory}/tfod.json"],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(f"tfod {self.name}", self.is_up)

    def is_up(self):
        if self.process.poll() is not None:
            raise Failed(f"tfod {self.name} ended")
        with contextlib.suppress(OSError):
            return self.ask("alert-list") is not None
        return False

    def reload(self):
        self.write()
        self.process.send_signal(signal.SIGHUP)

    def kill9(self):
        self.process.kill()
        self.process.wait()

    def ask(self, command):
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(5)
            control.connect(self.config["socket"])
            control.sendall(json.dumps({"command": command}).encode() + b"\n")
            with control.makefile("rb") as reply:
                return json.loads(reply.readline()).get("result")

    def raised(self):
        """Its alerts, by rule."""
        return {alert["rule"]: alert for alert in self.ask("alert-list")["alerts"]}

    def away(self):
        """Does it say that an Alertmanager is away?"""
        return any(one["id"] == "alertmanager_away" for one in self.ask("status")["conditions"])
