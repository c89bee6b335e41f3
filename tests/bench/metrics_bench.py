#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What a scrape of 1,000 VIPs costs: less than 100 ms, no memory that stays, and nothing for the packets,
whose program is timed in the kernel's test run while others scrape as fast as they can.

And what the status page asks for takes no longer.

  metrics_bench.py TFOD     the tfod to measure, a release build; TFO_BENCH_TFOCTL names another, beside
                            that tfoctl

TFO_TEST_FULL=1: as said; otherwise four times of it, and three times of what a packet costs, are good enough.

Exit 77: not root.
"""
import contextlib
import gzip
import http.client
import json
import os
import pathlib
import re
import statistics
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "farm"))
from client_farm import Failed, output  # noqa: E402  (beside the farm's tests)
from metrics_site import PORT, Site, bad_cookie_syn, vips  # noqa: E402
from scrape import Scrape  # noqa: E402

MANY = 1000
SCRAPES = 200
WARM = 200  # scrapes until every thread has made some, and malloc has what it keeps
FULL = bool(os.environ.get("TFO_TEST_FULL"))  # on a machine with nothing beside; else what a busy one makes of it
MOST_SECONDS = 0.1 if FULL else 0.4
MOST_GROWTH = 2 << 20  # bytes that the second half of SCRAPES may leave behind
MOST_RESIDENT = 192 << 20
MOST_SLOWER = 1.5 if FULL else 3


def get(path="/metrics"):
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=10)
    connection.request("GET", path, headers={"Accept-Encoding": "gzip"})  # as Prometheus does
    reply = connection.getresponse()
    body = reply.read()
    connection.close()
    if reply.status != 200:
        raise Failed(f"{path}: {reply.status}")
    return body


def scrapes_are_fast_and_leave_nothing(site):
    with site.entered():
        seconds, memory, processor = [], [], []
        for _ in range(WARM + SCRAPES):
            began = time.monotonic()
            body = get()
            seconds.append(time.monotonic() - began)
            found = Scrape(body[:4000].decode().rpartition("\n")[0])  # the process comes first
            memory.append(found.one("process_resident_memory_bytes"))
            processor.append(found.one("process_cpu_seconds_total"))
    took = statistics.median(seconds)
    # Of each half the median: now and then malloc keeps a text or two for a while.
    grown = statistics.median(memory[-SCRAPES // 2:]) - statistics.median(memory[WARM:-SCRAPES // 2])
    used = (processor[-1] - processor[WARM]) / (SCRAPES - 1)
    print(f"  a scrape of {len(body) >> 10} KiB: median {took * 1000:.0f} ms, least {min(seconds) * 1000:.0f} ms, "
          f"of a processor {used * 1000:.0f} ms; resident {memory[-1] / 2**20:.1f} MiB, "
          f"by the second half of {SCRAPES} scrapes {grown / 2**20:+.1f} MiB", flush=True)
    # The machine may be another's for most of the time: a quarter of them show what is possible.
    quick = statistics.quantiles(seconds, n=4)[0]
    check(f"a quarter of the scrapes took up to {quick * 1000:.0f} ms", quick < MOST_SECONDS)
    check(f"{memory[-1] / 2**20:.0f} MiB are resident", memory[-1] < MOST_RESIDENT)
    check(f"{SCRAPES // 2} scrapes left {grown} bytes", grown < MOST_GROWTH)


def the_page_is_told_as_fast(site):
    """What the page and `tfoctl top` ask for every second or two."""
    with site.entered():
        seconds = []
        for _ in range(SCRAPES // 4):
            began = time.monotonic()
            body = get("/api/overview")
            seconds.append(time.monotonic() - began)
    text = gzip.decompress(body)  # as a browser takes it
    told = json.loads(text)
    print(f"  an overview of {len(text) >> 10} KiB: median {statistics.median(seconds) * 1000:.0f} ms, "
          f"least {min(seconds) * 1000:.0f} ms", flush=True)
    check(f"the overview names {told['vips_total']} VIPs", told["vips_total"] == MANY)
    check(f"an overview took {statistics.median(seconds) * 1000:.0f} ms", statistics.median(seconds) < MOST_SECONDS)


def cost_of_a_packet(site, repeat=300000):
    """ns that the attached program takes for a SYN with an invalid cookie, by BPF_PROG_TEST_RUN."""
    frame = site.directory / "frame"
    frame.write_bytes(bad_cookie_syn(2000))
    link = json.loads(site.exec("ip", "-j", "link", "show", "t0"))[0]
    ran = output("bpftool", "prog", "run", "id", str(link["xdp"]["prog"]["id"]), "data_in", str(frame),
                 "repeat", str(repeat))
    return int(re.search(r"duration \(average\): (\d+)ns", ran)[1])


@contextlib.contextmanager
def scraping(site):
    over = threading.Event()

    def run():
        with site.entered():
            while not over.is_set():
                get()
    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def scrapes_cost_packets_nothing(site):
    quiet, busy = [], []
    for _ in range(7):
        quiet.append(cost_of_a_packet(site))
        with scraping(site):
            busy.append(cost_of_a_packet(site))
    print(f"  a SYN: {sorted(quiet)} ns, during scrapes {sorted(busy)} ns", flush=True)
    check(f"a SYN takes {min(busy)} ns during scrapes, {min(quiet)} ns else", min(busy) < MOST_SLOWER * min(quiet))


def check(what, good):
    if not good:
        raise Failed(what)


def main():
    if os.geteuid() != 0:
        print("needs root: it makes network namespaces", file=sys.stderr)
        return 77
    wrong = 0
    with Site(pathlib.Path(os.environ.get("TFO_BENCH_TFOCTL", sys.argv[1])).parent) as site:
        site.config["vips"] = vips(MANY)
        site.start()
        for test in (scrapes_are_fast_and_leave_nothing, the_page_is_told_as_fast, scrapes_cost_packets_nothing):
            try:
                test(site)
            except Failed as error:
                wrong += 1
                print(f"FAILED {error}", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
