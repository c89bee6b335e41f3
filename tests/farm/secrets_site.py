# SPDX-License-Identifier: BSD-2-Clause
"""A tfod with everything that it writes and shows: what secrets_test.py searches."""
import contextlib
import http.client
import json
import os
import pathlib
import resource
import signal
import socket
import subprocess
import threading
import time

import secret_search

DEADLINE = 20


class Failed(Exception):
    """The test cannot go on."""


def wait_for(what, condition, seconds=DEADLINE):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise Failed(f"gave up waiting for {what}")
        time.sleep(0.005)
    return value


def unlimited_cores():
    """For a child: no limit of its own forbids a core dump."""
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


class ProcessWatch:
    """Everything that /proc shows of command lines and environments while it runs. Only our own
    processes are there: the test has a PID namespace of its own."""

    def __init__(self):
        self.seen = set()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.ended.wait(0.002):
            self.seen.update(secret_search.processes())

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()


class Site:
    """One tfod in this network namespace, balancer on a veth and server here and in a second one."""

    def __init__(self, binaries, directory, scenario):
        self.tfod, self.tfoctl = str(binaries / "tfod"), str(binaries / "tfoctl")
        self.directory = directory
        self.state, self.run_directory = directory / "state", directory / "run"
        self.working = directory / "cwd"  # where a core file would appear
        self.private = directory / "private"  # the test's own key files
        for path in (self.working, self.private):
            path.mkdir(mode=0o700)
        self.config_file = directory / "tfod.json"
        self.log = directory / "tfod.log"
        self.log.touch(mode=0o644)
        self.texts = {}  # kind: what was shown
        self.process = None
        self.other = subprocess.Popen(["unshare", "--net", "sleep", "600"])
        home = os.readlink("/proc/self/ns/net")
        other = f"/proc/{self.other.pid}/ns/net"
        wait_for("a second namespace", lambda: os.readlink(other) != home)
        self.config = {
            "instance": "secrets", "log_level": "debug",
            "interfaces": [{"name": "t0"}],
            "pools": {"web": scenario.pool(self)},
            "vips": [{"name": "web", "addresses": ["192.0.2.10"], "ports": [80], "pool": "web"}],
            "server": {"namespaces": [{"pool": "web"}, {"pool": "web", "netns": other}]},
            "http": {"listen": "127.0.0.1:0"},
            "socket": str(self.run_directory / "tfod.sock"),
            "state_directory": str(self.state),
            "bpffs": "/sys/fs/bpf",
        } | scenario.more(self)
        self.write()

    def write(self, text=None):
        self.config_file.write_text(json.dumps(self.config) if text is None else text, encoding="utf-8")

    def show(self, kind, *texts):
        for text in texts:
            self.texts.setdefault(kind, []).append(text)

    # tfod

    def log_text(self):
        return self.log.read_text(encoding="utf-8", errors="replace")

    def start(self):
        before = len(self.log_text())
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [self.tfod, "--config", str(self.config_file)], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=self.working, preexec_fn=unlimited_cores)
        wait_for("tfod", lambda: " ready\n" in self.log_text()[before:] or self.process.poll() is not None)
        if self.process.poll() is not None:
            raise Failed("tfod does not start:\n" + self.log_text()[before:])
        port = self.log_text().rpartition("metrics at http://127.0.0.1:")[2].split("/")[0]
        self.port = int(port)

    def refused(self):
        """tfod does not start as things are; returns what it says."""
        done = subprocess.run([self.tfod, "--config", str(self.config_file)], stdin=subprocess.DEVNULL,
                              capture_output=True, cwd=self.working, timeout=DEADLINE, check=False)
        self.show("errors of tfod", done.stdout, done.stderr)
        if done.returncode != 2:
            raise Failed(f"tfod starts, or dies: exit {done.returncode}")
        return done.stderr.decode(errors="replace")

    def check(self, text):
        """tfod --check of a configuration."""
        file = self.directory / "checked.json"
        file.write_text(text, encoding="utf-8")
        done = subprocess.run([self.tfod, "--config", str(file), "--check"], capture_output=True, check=False)
        self.show("errors of tfod", done.stdout, done.stderr)
        file.unlink()
        return done.returncode

    def stop(self, number=signal.SIGTERM):
        """Ends tfod by a signal; returns what waitid() says of its end."""
        self.process.send_signal(number)
        ended = os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT)
        self.process.wait(DEADLINE)
        return ended

    def reload(self):
        """SIGHUP; returns when it is done."""
        def done():
            text = self.log_text()
            return text.count("condition raised: config_refused") + text.count(" is in force\n")
        before = done()
        self.process.send_signal(signal.SIGHUP)
        wait_for("a reload", lambda: done() > before)

    # tfoctl and others who ask

    def ctl(self, *arguments, text="", code=None, kind="answers of tfoctl"):
        done = subprocess.run([self.tfoctl, "--socket", self.config["socket"], *arguments], input=text if isinstance(text, bytes) else text.encode(),
                              capture_output=True, cwd=self.working, timeout=DEADLINE, check=False)
        if kind is not None:
            self.show(kind, done.stdout, done.stderr)
        if code is not None and done.returncode != code:
            raise Failed(f"tfoctl {arguments[:2]}: exit {done.returncode}: {done.stderr.decode()}")
        return done.stdout.decode()

    def ask(self, line):
        """One line to the control socket."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(DEADLINE)
            client.connect(self.config["socket"])
            client.sendall(line.encode() + b"\n")
            reply = b""
            while not reply.endswith(b"\n") and (part := client.recv(65536)):
                reply += part
        self.show("answers on the control socket", reply)

    def keys(self):
        """Every key that tfod exports, as bytes; what is shown for it is kept by nobody."""
        text = self.ctl("key", "export", "web", code=0, kind=None)
        return [secret_search.key_of_text(line) for line in text.split()]

    def rotate(self):
        before = self.ctl("-j", "key", "show")
        self.ctl("key", "rotate", "web", code=0)
        wait_for("a rotation", lambda: self.ctl("-j", "key", "show") != before and
                 json.loads(self.ctl("-j", "status"))["pools"][0]["state"] == "steady")

    def close(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.ctl("detach", "--instance", "secrets", kind=None)
        self.other.kill()
        self.other.wait()

    def places(self):
        """What others see of it: (name, bytes)."""
        for kind, texts in self.texts.items():
            yield kind, b"\n--\n".join(texts)
        yield "the log", self.log.read_bytes()
        yield from secret_search.files(self.directory)


def http_answer(port, path):
    """Status line, headers and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    with contextlib.closing(connection):
        connection.putrequest("GET", path, skip_host=False)
        connection.endheaders()
        response = connection.getresponse()
        return f"{response.status} {response.reason}\n{response.msg}".encode() + response.read()


WITHOUT_PTRACE = ("setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace", "--")


def readable_without_ptrace(pid):
    """May root without CAP_SYS_PTRACE look into this process, which has no more capabilities itself? Not if it
    is undumpable (__ptrace_may_access() in kernel/ptrace.c). A link is asked for, since CAP_PERFMON alone lets
    newer kernels show `environ`."""
    done = subprocess.run([*WITHOUT_PTRACE, "readlink", f"/proc/{pid}/exe"], capture_output=True, check=False)
    return done.returncode == 0 and done.stdout != b""


def core_limits(pid):
    for line in pathlib.Path(f"/proc/{pid}/limits").read_text(encoding="ascii").splitlines():
        if line.startswith("Max core file size"):
            return line.split()[4:6]
    raise Failed("/proc/PID/limits names no core file size")
