# SPDX-License-Identifier: BSD-2-Clause
"""Honest clients of a farm under attack: some that have been there before, and such that come for the
first time, each in a network of its own (a /24 or /48). For attack_farm.py."""
import collections
import contextlib
import itertools
import threading
import time

import dialer
from client_farm import DEADLINE, VIPS, Failed, vip_address

HONEST = 100  # clients that have been there before, each with a VIP address of its own
# Where they live, by family: of those who were there (RFC 2544), of newcomers (RFC 6598); RFC 3849.
NETWORKS = {4: ("198.18.0.0/16", "100.64.0.0/10"), 6: ("2001:db8:4000::/36", "2001:db8:8000::/33")}

# What happened: what came of the connections of those who had been there before, and of newcomers; how
# long each took, in seconds, sorted; and how long those took that know nothing of Fast Open.
Honest = collections.namedtuple("Honest", "outcomes newcomers seconds plain")


class Clients:
    """Dials from namespace `netns`, where all of NETWORKS is local."""

    def __init__(self, netns, family, port):
        self.netns, self.family, self.port = netns, family, port
        self.dialer = dialer.Dialer(netns)
        self.fresh = itertools.count()

    def known(self, number):
        """Source and destination, 1 to HONEST: cookies go by both."""
        source = f"198.18.{number}.1" if self.family == 4 else f"2001:db8:{0x4000 + number:x}::1"
        return source, vip_address(number, self.family)

    def newcomer(self):
        """The same of one that nobody has seen yet."""
        number = next(self.fresh)
        if number >= 1 << 14:
            raise Failed("there are no more networks for newcomers")
        source = (f"100.{64 + (number >> 8)}.{number & 255}.1" if self.family == 4 else
                  f"2001:db8:{0x8000 + number:x}::1")
        return source, vip_address(HONEST + 1 + number % (VIPS - HONEST), self.family)

    def prime(self):
        """Gives every known client its cookie."""
        for number in range(1, HONEST + 1):
            answer = self.dialer.dial(*self.known(number), self.port)
            if answer not in ("asked", "data"):
                raise Failed(f"an honest client asked for a cookie: {answer}")

    def connect(self, client):
        """(answer, seconds) with a cookie: who has none asks for one first, a newcomer or one whose cookie its
        kernel forgot for another's."""
        answer, took = self.dialer.timed(*client, self.port)
        return self.dialer.timed(*client, self.port) if answer == "asked" else (answer, took)

    def browse(self, seconds, pace, newcomers=False, plain=0):
        """They connect in turn, one every `pace` seconds, every other one a newcomer if there are to be any; ends
        early where each takes long. With `plain`: beside them so many that know nothing of Fast Open, each one
        connection after another."""
        outcomes, times = (collections.Counter(), collections.Counter()), []
        began = time.monotonic()
        deadline = began + 2 * seconds + DEADLINE
        with self.plain_clients(plain) as plain_seconds:
            for number in range(int(seconds / pace)):
                new = newcomers and number % 2
                turn = number // 2 if newcomers else number
                answer, took = self.connect(self.newcomer() if new else self.known(turn % HONEST + 1))
                outcomes[new][answer] += 1
                times.append(took)
                if time.monotonic() > deadline:
                    break
                time.sleep(max(0, began + (number + 1) * pace - time.monotonic()))
        return Honest(*outcomes, sorted(times), sorted(plain_seconds))

    @contextlib.contextmanager
    def plain_clients(self, number):
        """The yielded list holds how long each connection took, infinity if it failed, once they have ended."""
        taken, ended = [], threading.Event()
        threads = [threading.Thread(target=self.dial_plain, args=(one + 1, taken, ended)) for one in range(number)]
        for thread in threads:
            thread.start()
        try:
            yield taken
        finally:
            ended.set()
            for thread in threads:
                thread.join()

    def dial_plain(self, number, taken, ended):
        with contextlib.closing(dialer.Dialer(self.netns)) as own:
            while not ended.is_set():
                source, destination = self.known(number)
                answer, took = own.timed(f"{source[:-1]}2", destination, self.port, plain=True)
                taken.append(took if answer == "plain" else float("inf"))

    def close(self):
        self.dialer.close()
