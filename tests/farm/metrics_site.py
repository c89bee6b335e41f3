# SPDX-License-Identifier: BSD-2-Clause
"""One tfod on a veth pair in a network namespace of its own, and frames for it. For the tests of its
metrics."""
import contextlib
import ctypes
import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import threading
import time

from alert_site import BROADCAST, VIP, bad_cookie_syn  # noqa: F401  (VIP: for the tests)
from client_farm import Failed, output, wait_for

PORT = 9413
URL = f"http://127.0.0.1:{PORT}/"
CLONE_NEWNET = 0x40000000


def vips(count):
    """The first one is where bad_cookie_syn() goes."""
    addresses = [VIP] + [f"10.{number >> 8}.{number & 255}.1" for number in range(1, count)]
    return [{"name": f"vip{number}", "addresses": [address], "ports": [443], "pool": "web"}
            for number, address in enumerate(addresses)]


def set_namespace(file):
    """This thread's network namespace (os.setns is Python 3.12's)."""
    if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Site:
    """`with Site(BIN) as site`: tfod is not started yet; `config` is what it will take."""

    def __init__(self, binaries):
        self.binaries = pathlib.Path(binaries).resolve()
        self.name = f"tfo-metrics-{os.getpid()}"
        self.process = None
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        with self.stack:
            self.directory = pathlib.Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="tfo-metrics-")))
            output("ip", "netns", "add", self.name)
            self.stack.callback(output, "ip", "netns", "del", self.name)
            for command in ("ip link set lo up", "ip link add t0 type veth peer name t0p",
                            "ip link set t0 up", "ip link set t0p up"):
                self.exec(*command.split())
            (self.directory / "bpf").mkdir()
            output("mount", "-t", "bpf", "bpf", f"{self.directory}/bpf")
            self.stack.callback(output, "umount", f"{self.directory}/bpf")
            self.stack.callback(self.end)
            self.config = {
                "interfaces": [{"name": "t0", "mode": "native", "egress": True}],
                "pools": {"web": {"file": f"{self.directory}/web.keys"}},
                "vips": vips(1),
                "server": {"namespaces": [{"pool": "web"}], "restore_on_stop": False},
                "monitor": {"tracked": [{"name": "office", "prefixes": ["198.51.100.0/28"]}],
                            "prefixes": [{"name": "transit", "prefix": "172.16.0.0/16", "kind": "asymmetric"}],
                            "bloom_lines": 4096},
                "alerts": {"alertmanager": {"urls": ["http://127.0.0.1:9"]}},
                "http": {"listen": f"127.0.0.1:{PORT}"},
                "socket": f"{self.directory}/tfod.sock",
                "state_directory": f"{self.directory}/state",
                "bpffs": f"{self.directory}/bpf",
            }
            self.stack = self.stack.pop_all()
        return self

    def __exit__(self, *_):
        self.stack.close()

    @property
    def netns(self):
        return f"/run/netns/{self.name}"

    def inside(self, *command):
        return ["nsenter", f"--net={self.netns}", "--", *command]

    def exec(self, *command):
        return output(*self.inside(*command))

    def write(self):
        path = self.directory / "tfod.json"
        path.write_text(json.dumps(self.config), encoding="utf-8")
        return str(path)

    def check(self):
        """What `tfod --check` says; empty: nothing is wrong."""
        done = subprocess.run([str(self.binaries / "tfod"), "--config", self.write(), "--check"],
                              capture_output=True, text=True, check=False)
        return "" if done.returncode == 0 else done.stderr

    def start(self):
        log = self.directory / "tfod.log"
        with open(log, "wb") as file:
            self.process = subprocess.Popen(
                self.inside(str(self.binaries / "tfod"), "--config", self.write()),
                stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        wait_for("tfod", self.is_ready, self.story, patience=60)

    def is_ready(self):
        if self.process.poll() is not None:
            raise Failed(self.story())
        return " ready\n" in self.story()

    def story(self):
        return (self.directory / "tfod.log").read_text(encoding="utf-8", errors="replace")

    def reload(self):
        before = self.story().count(" is in force") + self.story().count("config_refused")
        self.write()
        self.process.send_signal(signal.SIGHUP)
        wait_for("the reload",
                 lambda: self.story().count(" is in force") + self.story().count("config_refused") > before, self.story)

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        self.process.wait(30)

    def end(self):
        if self.process and self.process.poll() is None:
            self.stop()
        subprocess.run([str(self.binaries / "tfoctl"), "--socket", self.config["socket"], "detach"],
                       capture_output=True, check=False)

    def curl(self, *arguments):
        """(exit code, HTTP status, body)"""
        done = subprocess.run(self.inside("curl", "-sS", "--max-time", "10", "-w", "\n%{http_code}", *arguments),
                              capture_output=True, text=True, check=False)
        body, _, status = done.stdout.rpartition("\n")
        return done.returncode, int(status or 0), body

    @contextlib.contextmanager
    def entered(self):
        """This thread is in the site's network namespace."""
        with open("/proc/thread-self/ns/net", "rb") as before, open(self.netns, "rb") as own:
            set_namespace(own)
            try:
                yield
            finally:
                set_namespace(before)

    def wire(self):
        """A socket whose frames arrive at tfod's interface."""
        with self.entered():
            wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            wire.bind(("t0p", 0))
        return wire


class Steady:
    """Invalid cookies at one rate, while the context lasts."""

    def __init__(self, site, rate):
        self.wire, self.rate, self.sent = site.wire(), rate, 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        began = time.monotonic()
        while not self.over.is_set():
            if self.sent < (time.monotonic() - began) * self.rate:
                self.wire.send(bad_cookie_syn(1024 + self.sent % 60000))
                self.sent += 1
            else:
                time.sleep(0.2 / self.rate)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        self.wire.close()
