# SPDX-License-Identifier: BSD-2-Clause
"""A real etcd of three members, on the loopback of this network namespace or on an address of
another one, its data in memory where that is to be had. For the farm tests of the etcd store."""
import base64
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import time

MEMBERS = 3
PORT = 2379


class Members:
    """Use etcd_members()."""

    def __init__(self, directory, netns=None, address=None):
        self.directory = pathlib.Path(directory)
        self.enter = ["nsenter", f"--net={netns}", "--"] if netns else []
        self.address = address
        self.processes = [None] * MEMBERS
        for member in range(MEMBERS):
            self.start(member)

    def url(self, member, offset=0):
        if self.address:
            return f"http://{self.address}:{PORT + 10 * member + offset}"
        return f"http://127.0.0.{member + 1}:{PORT + offset}"

    def endpoints(self):
        return [self.url(member) for member in range(MEMBERS)]

    def start(self, member):
        peers = ",".join(f"m{other}={self.url(other, 1)}" for other in range(MEMBERS))
        with open(self.directory / f"m{member}.log", "ab") as log:
            self.processes[member] = subprocess.Popen(
                [*self.enter, "etcd", "--name", f"m{member}", "--data-dir", str(self.directory / f"m{member}"),
                 "--listen-client-urls", self.url(member), "--advertise-client-urls", self.url(member),
                 "--listen-peer-urls", self.url(member, 1), "--initial-advertise-peer-urls", self.url(member, 1),
                 "--initial-cluster", peers, "--heartbeat-interval", "50", "--election-timeout", "500"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def fetch(self, member, path, *options):
        """What a member answers; empty if it does not."""
        return subprocess.run([*self.enter, "curl", "-s", "-m", "5", "--noproxy", "*", *options, self.url(member) + path],
                              stdout=subprocess.PIPE, text=True, check=False).stdout

    def call(self, path, **fields):
        """One request to the gateway of some member, as its operator; keys and values are bytes."""
        body = json.dumps({name: base64.b64encode(value).decode() if isinstance(value, bytes) else value
                           for name, value in fields.items()})
        for member, process in enumerate(self.processes):
            if process.poll() is None:
                reply = json.loads(self.fetch(member, "/v3/kv/" + path, "-d", body) or "{}")
                if "header" in reply:
                    return reply
        raise TimeoutError(f"no member of etcd answers {path}")

    def get(self, key):
        """The value of a key; None: there is none."""
        kvs = self.call("range", key=key.encode()).get("kvs", [])
        return base64.b64decode(kvs[0].get("value", "")) if kvs else None

    def all(self, prefix):
        """Names behind a prefix, with their values."""
        start = prefix.encode()
        kvs = self.call("range", key=start, range_end=start[:-1] + bytes([start[-1] + 1])).get("kvs", [])
        return {base64.b64decode(kv["key"]).decode(errors="replace")[len(prefix):]: base64.b64decode(kv.get("value", ""))
                for kv in kvs}

    def history(self, prefix):
        """(name behind the prefix, value) of everything that was ever written there: etcd keeps it."""
        start = prefix.encode()
        create = {"key": base64.b64encode(start).decode(), "start_revision": "1",
                  "range_end": base64.b64encode(start[:-1] + bytes([start[-1] + 1])).decode()}
        stream = subprocess.run(
            [*self.enter, "curl", "-sN", "-m", "1", "--noproxy", "*", "-d", json.dumps({"create_request": create}),
             self.url(self.running()) + "/v3/watch"], stdout=subprocess.PIPE, text=True, check=False).stdout
        return [(base64.b64decode(event["kv"]["key"]).decode()[len(prefix):], base64.b64decode(event["kv"]["value"]))
                for line in stream.splitlines() for event in json.loads(line)["result"].get("events", [])
                if "type" not in event and "value" in event["kv"]]

    def running(self):
        return next(member for member, process in enumerate(self.processes) if process.poll() is None)

    def put(self, key, value):
        self.call("put", key=key.encode(), value=value)

    def delete(self, key):
        self.call("deleterange", key=key.encode())

    def healthy(self):
        return all("true" in self.fetch(member, "/health") for member in range(MEMBERS))

    def leader(self):
        """The number of the member that leads by its own word; None while none does."""
        for member, process in enumerate(self.processes):
            if process.poll() is None:
                status = json.loads(self.fetch(member, "/v3/maintenance/status", "-d", "{}") or "{}")
                if status.get("leader", "0") == status.get("header", {}).get("member_id"):
                    return member
        return None

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
def etcd_members(netns=None, address=None):
    """`netns`, `address`: the namespace to run in, and its address that others reach."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="tfo-etcd-", dir=memory) as directory:
        members = Members(directory, netns, address)
        try:
            members.wait_healthy()
            yield members
        finally:
            members.close()
