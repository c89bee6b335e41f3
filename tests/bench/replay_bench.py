#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What a replay costs: frames a second of one processor's time, with and without the SYN-ACK monitor, and
memory, which must not grow with the capture.

  replay_bench.py TFOCTL     the tfoctl to measure, a release build; TFO_BENCH_TFOCTL names another

Short form: the best of three replays of 500,000 frames; with TFO_TEST_FULL=1 one of 5,000,000. Exit 0
if at least 500,000 frames a second were replayed (300,000 with the monitor) and a capture of ten times
the frames never took more memory; 77: not root.
"""
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile

KEY = "a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4"
SERVER = "192.0.2.10"
TRACKED = "192.0.2.77"
LEAST_RATE = 500_000  # frames a second of processor time
LEAST_WATCHED = 300_000
MOST_GROWTH_KB = 1024
CLIENTS = 128
LINUX_OPTIONS = bytes.fromhex("020405b40402080a000000010000000001030307")


def frame(source, options, data, flags, destination=SERVER):
    options = LINUX_OPTIONS + options
    options += b"\1" * (-len(options) % 4)
    words = (20 + len(options)) // 4
    tcp = struct.pack("!HHIIBBHHH", 40000, 443, 7, 0, words << 4, flags, 64240, 0, 0) + options + data
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 1, 0x4000, 64, 6, 0)
    addresses = socket.inet_aton(source) + socket.inet_aton(destination)
    return b"\2\0\0\0\0\1\2\0\0\0\0\2\x08\0" + ip + addresses + tcp


def mixed_frames(tfoctl):
    """Half of them SYNs of every common class, half segments with data."""
    frames = []
    for client in range(CLIENTS):
        source = f"198.51.100.{client}"
        made = subprocess.run([tfoctl, "cookie", "make", "--key", KEY, source, SERVER],
                              check=True, capture_output=True, text=True)
        cookie = b"\x22\x0a" + bytes.fromhex(made.stdout.strip())
        frames += [frame(source, cookie, b"x" * 100, 2), frame(source, b"\x22\x0a" + bytes(8), b"x", 2),
                   frame(source, b"\x22\x02", b"", 2), frame(source, b"", b"", 2)]
        frames += [frame(source, b"", b"y" * 512, 0x18)] * 4
    return frames


def watched_frames(frames):
    """The same, and of each client an unasked SYN-ACK, and one that answers a SYN."""
    more = []
    for client in range(CLIENTS):
        source = f"198.51.100.{client}"
        more += [frame(source, b"", b"", 0x12), frame(TRACKED, b"", b"", 2, source),
                 frame(source, b"", b"", 0x12, TRACKED)]
    return frames + more


def write_capture(path, frames, count):
    """100,000 frames a second, all of one round at one time."""
    rests = [b""] + [struct.pack("<II", len(f), len(f)) + f for f in frames]
    with open(path, "wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))
        for turn in range(count // len(frames)):
            second, rest = divmod(turn * len(frames), 100_000)
            out.write(struct.pack("<II", 1_700_000_000 + second, rest * 10).join(rests))
    return count // len(frames) * len(frames)


def write_config(directory, monitor):
    """A node's configuration for the same server; its keys are others, so that no cookie is good."""
    secret, path = (os.path.join(directory, name) for name in ("web.secret", "tfod.json"))
    with open(os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
        out.write(bytes(range(1, 33)))
    document = {"interfaces": [{"name": "eth0"}],
                "pools": {"web": {"store": "derived", "secret": secret, "interval": "24h"}},
                "vips": [{"name": "web", "addresses": [SERVER], "pool": "web"}],
                "monitor": monitor}
    with open(path, "w", encoding="utf-8") as out:
        json.dump(document, out)
    return path


def replay(tfoctl, path, expected, world=("--key", KEY)):
    """Processor seconds and peak memory in KB of one replay; checks what it counted."""
    child = subprocess.Popen([tfoctl, "-j", "replay", path, *world], stdout=subprocess.PIPE,
                             preexec_fn=lambda: os.sched_setaffinity(0, {max(os.sched_getaffinity(0))}))
    document = json.loads(child.stdout.read())
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0 or document["frames"] != expected or sum(document["reasons"].values()) != expected:
        sys.exit(f"{path}: status {status}, {document['frames']} of {expected} frames replayed")
    if world[0] == "--key" and document["reasons"]["cookie_current"] * 8 != expected:
        sys.exit(f"{path}: {document['reasons']}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss


def rate_of(tfoctl, path, frames, count, world=("--key", KEY), runs=3):
    """Frames a second of one processor's time but for the start, seconds, those of the start, peak memory in KB."""
    start, _ = replay(tfoctl, path, write_capture(path, frames, len(frames)), world)
    count = write_capture(path, frames, count)
    costs = [replay(tfoctl, path, count, world) for _ in range(runs)]
    seconds, memory = (choose(values) for choose, values in zip((min, max), zip(*costs)))
    return (count - len(frames)) / (seconds - start), seconds, start, memory


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if os.geteuid() != 0:
        sys.exit(77)
    tfoctl = os.environ.get("TFO_BENCH_TFOCTL", sys.argv[1])
    full = os.environ.get("TFO_TEST_FULL") == "1"
    frames = mixed_frames(tfoctl)
    count, runs = (5_000_000, 1) if full else (500_000, 3)
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "bench.pcap")
        _, small = replay(tfoctl, path, write_capture(path, frames, 50_000))
        rate, seconds, start, large = rate_of(tfoctl, path, frames, count, runs=runs)
        print(f"{count} frames: {seconds:.2f} s of one processor, {start:.2f} s of them to load the program: "
              f"{rate:,.0f} frames a second; peak memory {large} KB, {small} KB for 50,000 frames")
        watched = []
        for monitor in ({"vips": False}, {"tracked": [{"name": "office", "prefixes": [TRACKED]}]}):
            world = ("--config", write_config(directory, monitor))
            watched.append(rate_of(tfoctl, path, watched_frames(frames), count, world, runs)[0])
        print(f"by a configuration: {watched[0]:,.0f} frames a second, with the monitor {watched[1]:,.0f}")
    if rate < LEAST_RATE or watched[1] < LEAST_WATCHED:
        sys.exit(f"slower than {LEAST_RATE:,} frames a second, with the monitor {LEAST_WATCHED:,}")
    if large - small > MOST_GROWTH_KB:
        sys.exit("memory grows with the capture")


main()
