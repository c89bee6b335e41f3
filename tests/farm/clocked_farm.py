# SPDX-License-Identifier: BSD-2-Clause
"""A farm whose nodes share keys by the clock alone: one balancer and some servers, each with a tfod
of its own (tfod_clocked) whose clock can be set apart from the others'; and clients with cookies of
any age. For the tests of derived keys."""
import collections
import contextlib
import hashlib

from client_farm import (FARM, ClientFarm, Failed, Node, client_site, output,  # noqa: F401  (for the tests)
                         wait_for)

SECRET = bytes(range(100, 132))  # of a farm that lives some minutes

Timing = collections.namedtuple("Timing", "interval max_skew accept_generations")


def key_text(counter):
    """The kernel's text of the key of interval number `counter`: tofurkey's function, which is
    libsodium's crypto_kdf_blake2b_derive_from_key, written with Python's BLAKE2b."""
    key = hashlib.blake2b(b"", digest_size=16, key=SECRET, salt=counter.to_bytes(8, "little"),
                          person=b"tofurkey").hexdigest()
    return "-".join(key[at:at + 8] for at in range(0, 32, 8))


class ClockedNode(Node):
    """One tfod_clocked with its configuration, clock and log."""

    def __init__(self, farm, node, config):
        super().__init__(farm, node, config)
        self.clock = self.directory / "clock"
        self.set_clock(0)

    def command(self):
        return [str(self.binaries / "tests/tfod_clocked"), str(self.clock)]

    def set_clock(self, offset):
        """Seconds by which this node's clock is ahead."""
        new = self.directory / "clock.new"
        new.write_text(f"{offset}\n", encoding="ascii")
        new.rename(self.clock)


class ClockedFarm(ClientFarm):
    """Farm, daemons and a dialer; use clocked_farm()."""

    def __init__(self, site, timing, vip):
        super().__init__(site)
        self.timing = timing
        secret = self.directory / "secret"
        secret.touch(mode=0o600)
        secret.write_bytes(SECRET)
        self.add_nodes(ClockedNode, {
            "store": "derived", "secret": str(secret), "interval": f"{timing.interval}s",
            "max_skew": f"{timing.max_skew}s", "accept_generations": timing.accept_generations,
            "not_after": "1h"}, vip)

    def set_keys(self, counter):
        """What servers held in the first half of interval number `counter`."""
        output(FARM, "key", self.name, "-", text=f"{key_text(counter)},{key_text(counter - 1)}\n")

    def counter(self, moment):
        return int(moment) // self.timing.interval

    def held_at(self, moment):
        """The kernel's text of the keys that servers hold at that moment of time.time(), by the clock
        alone: beside the present key they accept the former one, and from the middle on the next one."""
        now, late = self.counter(moment), moment % self.timing.interval >= self.timing.interval / 2
        return f"{key_text(now)},{key_text(now + 1 if late else now - 1)}"

    def held_by(self, server):
        return self.exec(server.node, "cat", "/proc/sys/net/ipv4/tcp_fastopen_key").strip()


@contextlib.contextmanager
def clocked_farm(binaries, timing, vip, servers=3):
    """`vip`: fields of the balancer's VIP, such as {"mode": "enforce", "renew": True}."""
    with client_site(binaries, servers) as site:
        farm = ClockedFarm(site, timing, vip)
        try:
            farm.route()
            yield farm
        finally:
            farm.close()
