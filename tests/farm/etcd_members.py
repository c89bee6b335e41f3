# SPDX-License-Identifier: BSD-2-Clause
"""A real etcd of three members on this network namespace's loopback, its data in memory where that
is to be had. For the farm tests of the etcd store."""
import contextlib
import os
import pathlib
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

MEMBERS = 3
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Members:
    """Use etcd_members()."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.processes = [None] * MEMBERS
        for member in range(MEMBERS):
            self.start(member)

    @staticmethod
    def endpoint(member):
        return f"http://127.0.0.{member + 1}:2379"

    def endpoints(self):
        return [self.endpoint(member) for member in range(MEMBERS)]

    def start(self, member):
        peers = ",".join(f"m{other}=http://127.0.0.{other + 1}:2380" for other in range(MEMBERS))
        peer = f"http://127.0.0.{member + 1}:2380"
        with open(self.directory / f"m{member}.log", "ab") as log:
            self.processes[member] = subprocess.Popen(
                ["etcd", "--name", f"m{member}", "--data-dir", str(self.directory / f"m{member}"),
                 "--listen-client-urls", self.endpoint(member),
                 "--advertise-client-urls", self.endpoint(member),
                 "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                 "--initial-cluster", peers, "--heartbeat-interval", "50", "--election-timeout", "500"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def healthy(self):
        for member in range(MEMBERS):
            try:
                with DIRECT.open(self.endpoint(member) + "/health", timeout=5) as answer:
                    if b"true" not in answer.read():
                        return False
            except (OSError, urllib.error.URLError):
                return False
        return True

    def wait_healthy(self, patience=30):
        deadline = time.monotonic() + patience
        while not self.healthy():
            if time.monotonic() > deadline:
                raise TimeoutError(f"etcd is not healthy; see {self.directory}")
            time.sleep(0.05)

    def freeze(self):
        """Hosts that vanish: nothing is refused, nothing is answered."""
        for process in self.processes:
            process.send_signal(signal.SIGSTOP)

    def thaw(self):
        for process in self.processes:
            process.send_signal(signal.SIGCONT)

    def kill(self, member):
        self.processes[member].kill()
        self.processes[member].wait()

    def close(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()


@contextlib.contextmanager
def etcd_members():
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="tfo-etcd-", dir=memory) as directory:
        members = Members(directory)
        try:
            members.wait_healthy()
            yield members
        finally:
            members.close()
