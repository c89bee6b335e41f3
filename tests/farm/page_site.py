# SPDX-License-Identifier: BSD-2-Clause
"""A farm with something to see on the status page of its balancer: clients that come back with cookies, new
ones, some that know no Fast Open, and two attacks. For page_test.py and top_test.py."""
import contextlib
import http.client
import json
import random
import signal
import socket
import struct
import subprocess
import threading
import time

import dialer
from alert_site import checksum
from browser import inside
from client_farm import DEADLINE, Failed, output, vip_address
from etcd_client_farm import etcd_client_farm

CLIENTS = 120
PACE = 0.02  # seconds from one connection to the next
REFLECTED = 500  # unasked SYN-ACKs a second that are critical here
ATTACKERS = "198.19.0.0"  # RFC 2544, the half that no client is in


class Traffic:
    """Connections one after another, while it is open: every eighth client is new, every eighth knows no Fast Open."""

    def __init__(self, farm):
        self.farm = farm
        self.clients = [farm.new_client() for _ in range(CLIENTS)]
        self.dialer = dialer.Dialer(farm.netns("c1"))
        self.answers, self.ended = {}, threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        number = 0
        while not self.ended.wait(PACE):
            number += 1
            client = self.farm.new_client() if number % 8 == 0 else self.clients[number % CLIENTS]
            answer = self.dialer.timed(*client, self.farm.port, plain=number % 8 == 4)[0]
            self.answers[answer] = self.answers.get(answer, 0) + 1

    def close(self):
        self.ended.set()
        self.thread.join()
        self.dialer.close()


def syn_ack(source, to, mac):
    """A frame with a SYN-ACK that nobody asked for."""
    options = struct.pack("!BBH", 2, 4, 1460) + bytes([1, 1, 4, 2])
    tcp = struct.pack("!HHIIBBHHH", 443, random.randrange(1024, 65000), random.getrandbits(32), random.getrandbits(32),
                      7 << 4, 0x12, 65160, 0, 0) + options
    from_, to_ = socket.inet_aton(source), socket.inet_aton(to)
    tcp = tcp[:16] + struct.pack("!H", checksum(from_ + to_ + struct.pack("!BBH", 0, 6, len(tcp)) + tcp)) + tcp[18:]
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0x4000, 52, 6, 0, from_, to_)
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    return mac + bytes([2, 0, 0, 0, 0, 1]) + b"\x08\x00" + ip + tcp


class PageFarm:
    """The farm; `balancer` serves the page at `url`, in the network namespace `netns`."""

    def __init__(self, farm):
        self.farm, self.balancer = farm, farm.balancer
        self.netns = farm.netns("lb")
        # A machine that has much else to do does not send 5,000 SYN-ACKs a second.
        self.restart(lambda config: config.update(http={"listen": "127.0.0.1:0"}, alerts={"rules": {
            "vip": {"critical": {"rate": REFLECTED}}}}))

    def restart(self, change):
        self.balancer.stop()
        config = json.loads(self.balancer.config.read_text(encoding="utf-8"))
        change(config)
        self.balancer.configure(config)
        self.balancer.start()
        self.farm.wait_settled(self.balancer)
        self.address = self.balancer.ctl("status")["http"]
        self.url = f"http://{self.address}/"

    def get(self, path, headers=None, method="GET"):
        """(status, headers, body) of what it answers."""
        host, port = self.address.rsplit(":", 1)
        with inside(self.netns):
            connection = http.client.HTTPConnection(host, int(port), timeout=DEADLINE)
            connection.connect()
        with contextlib.closing(connection):
            connection.request(method, path, headers=headers or {})
            response = connection.getresponse()
            return response.status, response.headers, response.read()

    def overview(self):
        return json.loads(self.get("/api/overview")[2])

    @contextlib.contextmanager
    def flooded(self, rate=150):
        """Somebody opens handshakes with cookies that were given out, and answers none."""
        farm = self.farm
        key_file = farm.directory / "flood.key"
        key_file.touch(mode=0o600)
        exported = output(*self.balancer.ctl_command("key", "export", "web"))
        key_file.write_text(exported.split()[0] + "\n", encoding="utf-8")
        command = ["nsenter", f"--net={farm.netns('net')}", "--", str(farm.binaries / "tests/tfo_flood"),
                   "--interface", "lb", "--mac", farm.info["nodes"]["lb"]["mac"], "--to", f"{vip_address(1, 4)}:{farm.port}",
                   "--destinations", "100", "--from", ATTACKERS, "--prefixes", "3", "--cookie", "valid",
                   "--key-file", str(key_file), "--rate", str(rate)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as attacker:
            try:
                yield
            finally:
                attacker.send_signal(signal.SIGTERM)
                attacker.communicate(timeout=DEADLINE)
        if attacker.returncode != 0:
            raise Failed(f"{' '.join(command)}: exit {attacker.returncode}")

    @contextlib.contextmanager
    def reflected(self, rate=9000):
        """SYN-ACKs of many hosts come to one address of the VIP, which sent no SYN."""
        mac = bytes.fromhex(self.farm.info["nodes"]["lb"]["mac"].replace(":", ""))
        with inside(self.farm.netns("net")):
            wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            wire.bind(("lb", 0))
        frames = [syn_ack(f"203.0.{112 + host % 12}.{host % 250 + 1}", vip_address(10, 4), mac) for host in range(3000)]
        ended = threading.Event()

        def run():
            began, sent = time.monotonic(), 0
            while not ended.is_set():
                while not ended.is_set() and sent < (time.monotonic() - began) * rate:
                    with contextlib.suppress(OSError):  # the queue is full: one packet less
                        wire.send(frames[sent % len(frames)])
                    sent += 1
                ended.wait(0.002)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            wire.close()

    @contextlib.contextmanager
    def rotating(self):
        """A rotation that waits for a server whose tfod is frozen."""
        late = self.farm.servers[-1]
        late.freeze()
        try:
            self.balancer.rotate()
            yield late.node
        finally:
            late.thaw()
        self.farm.wait_settled(self.balancer)


@contextlib.contextmanager
def page_farm(binaries):
    with etcd_client_farm(binaries, {"mode": "enforce", "renew": True, "on_invalid": "demote"}, servers=2) as farm:
        yield PageFarm(farm)
