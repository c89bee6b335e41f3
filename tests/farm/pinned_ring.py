# SPDX-License-Identifier: BSD-2-Clause
"""What a validator's data plane holds, read back from its pinned BPF maps as packets find it there
(struct tfo_ring and struct tfo_control of bpf/tfo_abi.h)."""
import collections
import ctypes
import os
import pathlib
import struct
import threading
import time

MAX_POOLS = 256
MAX_GENERATIONS = 16
POOL_SIDE = 64  # offset of tfo_control.pool_side
RING_HEADER = 32  # offset of tfo_ring.generation
GENERATION = 32  # size of struct tfo_generation
PLACES = ("current", "previous", "staged", "retired", "revoked")

# `renew`: places of the generations whose cookies are renewed. `generations`: (16 bytes, place, not_after_ns).
Ring = collections.namedtuple("Ring", "renew target renew_until_ns generations")


def held(ring):
    """The keys with their places, without what time alone changes."""
    return [(key, place) for key, place, _ in ring.generations]


class PinnedRing:
    """The ring of the one pool of an instance below `bpffs`."""

    def __init__(self, bpffs):
        self.library = ctypes.CDLL("libbpf.so.1", use_errno=True)
        self.fds = {name: self.open(bpffs, name) for name in ("rings", "control")}

    def open(self, bpffs, name):
        found = list(pathlib.Path(bpffs).glob(f"tfoguard/*/maps/{name}"))
        if len(found) != 1:
            raise FileNotFoundError(f"{len(found)} pinned maps {name} below {bpffs}")
        fd = self.library.bpf_obj_get(str(found[0]).encode())
        if fd < 0:
            raise OSError(ctypes.get_errno(), str(found[0]))
        return fd

    def close(self):
        for fd in self.fds.values():
            os.close(fd)

    def lookup(self, name, index, size):
        value = ctypes.create_string_buffer(size)
        if self.library.bpf_map_lookup_elem(self.fds[name], ctypes.byref(ctypes.c_uint32(index)), value) != 0:
            raise OSError(ctypes.get_errno(), name)
        return value.raw

    def read(self):
        """The live ring; read again if it was changed meanwhile."""
        while True:
            control = self.lookup("control", 0, POOL_SIDE + 4 * MAX_POOLS)
            for pool, side in enumerate(struct.unpack_from(f"={MAX_POOLS}I", control, POOL_SIDE)):
                raw = self.lookup("rings", 2 * pool + side, RING_HEADER + GENERATION * MAX_GENERATIONS)
                if struct.unpack_from("=I", raw)[0] != 0:
                    break
            else:
                return Ring((), None, 0, [])
            if control[POOL_SIDE:] == self.lookup("control", 0, POOL_SIDE + 4 * MAX_POOLS)[POOL_SIDE:]:
                return ring_of(raw)


def ring_of(raw):
    count, renew, target, until = struct.unpack_from("=IHHQ", raw)
    generations = []
    for number in range(count):
        key, not_after, place = struct.unpack_from("=16sQI", raw, RING_HEADER + GENERATION * number)
        generations.append((key, PLACES[place], not_after))
    return Ring(tuple(generations[bit][1] for bit in range(count) if renew >> bit & 1),
                generations[target][1] if renew else None, until, generations)


class RingWatch:
    """All rings that were live while it runs, one after another, as far as they lasted for a millisecond or so."""

    def __init__(self, ring):
        self.ring, self.seen, self.looks = ring, [], 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.flow)

    def flow(self):
        while not self.over.is_set():
            now = self.ring.read()
            self.looks += 1
            if not self.seen or self.seen[-1] != now:
                self.seen.append(now)
            time.sleep(0.0005)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
