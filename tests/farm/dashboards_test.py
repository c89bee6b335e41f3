#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Dashboards and rules over a real farm: clients that connect while keys rotate, a stolen cookie, forged
ones, reflected SYN-ACKs, a server's key that somebody overwrites. Debian's Prometheus scrapes tfod and has
the rules of dashboards/prometheus, their minutes as seconds. Every expression of the dashboards and rules
must give data; on the quiet farm no alert fires, under attack those that should; and what tfod tells an
Alertmanager itself Prometheus does not tell once more.

  dashboards_test.py BIN [--draw DIR]      BIN: the directory of tfod and tfoctl

--draw: a picture of each dashboard's panels into DIR, from the same data (needs python3-matplotlib).
"""
import argparse
import contextlib
import functools
import itertools
import os
import pathlib
import re
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve()
sys.path.insert(0, str(HERE.parents[1] / "dashboards"))
import dialer  # noqa: E402
import expressions  # noqa: E402

from client_farm import ROOT, Failed, output, wait_for  # noqa: E402
from dashboard_site import ALERTMANAGER, dashboard_site  # noqa: E402

PATIENCE = 40  # seconds for an alert
CALM = 0.02  # seconds from one honest try to the next
PLAIN = 0.05  # ... to the next without Fast Open
STOLEN = ("--cookie", "valid", "--rate", "150", "--prefixes", "40")
FORGED = ("--cookie", "forged", "--rate", "200", "--prefixes", "64", "--seconds", "8")
# Each by its own part of the attack.
UNDER_ATTACK = {"TfoPrefixGuardActive", "TfoInvalidCookieRatioHigh", "TfoSynAckReflectionLow", "TfoKeyRepaired"}
BY_TFOD = ("TfoSynAckReflectionLow", "vip")  # the same fact by Prometheus, and by tfod
LASTS = 'destination:tfo_unsolicited_synacks:rate1m{destination="vip"} > scalar(tfo:synack_vip_low:threshold)'
# Not while it begins and ends: a rotation is one.
ALWAYS = {"TfoRotationInProgress"}
# Counters of what does not happen here: other clients' failures, a kernel's or a program's trouble, an operator's word.
STILL = {
    "tfo_guard_events_lost_total", "tfo_guard_spared_total", "tfo_events_lost_total", "tfo_kernel_active_total",
    "tfo_kernel_active_fail_total", "tfo_kernel_blackhole_total", "tfo_server_bit_repairs_total",
    "tfo_kernel_syncookies_sent_total", "tfo_kernel_req_q_full_do_cookies_total", "tfo_kernel_listen_overflow_total",
}


class Steps:
    """Says how long each took."""

    def __init__(self):
        self.began = time.monotonic()

    def done(self, what):
        print(f"{time.monotonic() - self.began:5.1f} s  {what}", flush=True)


@contextlib.contextmanager
def plain_clients(farm):
    """Beside all others some that know nothing of Fast Open."""
    ended = threading.Event()

    def connect():
        with contextlib.closing(dialer.Dialer(farm.netns("c1"))) as own:
            while not ended.wait(PLAIN):
                source, destination = farm.clients.known(1)
                own.timed(f"{source[:-1]}2", destination, farm.port, plain=True)

    thread = threading.Thread(target=connect)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def quiet(site, steps):
    """Clients, then rotations under traffic, two of them of the same pool, so that cookies are left behind; nobody
    has to be told of anything."""
    clients = site.farm.clients
    site.balancer.rotate("api")
    clients.browse(3, CALM, newcomers=True)
    firing = site.alerts() - ALWAYS
    if firing:
        raise Failed(f"on the quiet farm these fire: {', '.join(sorted(firing))}")
    steps.done("quiet: nothing fires")
    for number in (1, 2):
        site.balancer.rotate("web")
        wait_for(f"{number} older keys of the pool web", lambda number=number: site.holds("web") == number + 1,
                 site.complain)
        clients.browse(0.5, CALM)
    clients.browse(2, CALM)
    wait_for("the pool api to have rotated", lambda: site.holds("api") == 2, site.complain)
    steps.done("rotated")


def attack(site, steps):
    """Everything at once; until Prometheus says what it should."""
    farm = site.farm
    farm.key_file.write_text(site.balancer.key() + "\n", encoding="utf-8")
    with contextlib.ExitStack() as stack:
        stack.enter_context(site.reflected(1200))
        stack.enter_context(farm.attacked(*STOLEN))
        stack.enter_context(farm.attacked(*FORGED))
        farm.exec(farm.servers()[0], "sysctl", "-qw", "net.ipv4.tcp_fastopen_key=1-2-3-4")
        with farm.resets(True):
            farm.clients.browse(3, CALM, newcomers=True)
        seen = set()  # from now on nobody answers
        deadline = time.monotonic() + PATIENCE
        while UNDER_ATTACK - seen:
            farm.clients.browse(1, CALM, newcomers=True)
            seen |= site.alerts()
            if time.monotonic() > deadline:
                raise Failed(f"under attack these did not fire: {', '.join(sorted(UNDER_ATTACK - seen))}\n"
                             f"{site.complain()}")
        steps.done("attacked: " + ", ".join(sorted(seen - ALWAYS)))
        told_once(site, steps)


def told_once(site, steps):
    """From now on tfod has an Alertmanager, the one that Prometheus has."""
    theirs, ours = BY_TFOD
    wait_for(f"Alertmanager to hear of {theirs}", lambda: theirs in site.told(), site.complain)
    site.balancer.tell(f"http://{ALERTMANAGER}")
    wait_for(f"Alertmanager to hear of {ours}", lambda: ours in site.told(), site.complain)
    wait_for("tfod's posts in Prometheus",
             lambda: site.ask("query", query="tfo_alertmanager_posts_total > 0")["result"], site.complain)
    # While the attack lasts, and Prometheus knows: a scrape may fail while tfod reloads.
    wait_for(f"{theirs} to be silent",
             lambda: site.ask("query", query=LASTS)["result"] and theirs not in site.told(), site.complain)
    steps.done(f"tfod posts its alerts itself, and {theirs} is silent")
    site.farm.clients.browse(1, CALM, newcomers=True)


def has_data(site, expression, times):
    return any(value == value for one in site.history(expression, *times) for _, value in one.points)


def check_expressions(site, times):
    """What gives no data although everything has happened. `times`: of the beginning and the end."""
    empty = []
    for dashboard in expressions.dashboards().values():
        for query in expressions.panel_queries(dashboard):
            if not has_data(site, expressions.filled(query.expression), times):
                empty.append(f"{query.place}: {query.expression}")
        for place, series, label in expressions.variable_queries(dashboard):
            if not any(label in one.labels for one in site.history(expressions.filled(series), *times)):
                empty.append(f"{place}: {series} with a label {label}")
    for rule in expressions.rules():
        # What is absent must not be, here.
        if not rule["expr"].startswith("absent(") and not has_data(site, expressions.answering(rule["expr"]), times):
            empty.append(f"{rule['file']}, {rule.get('alert') or rule['record']}: {rule['expr']}")
    return [f"no data: {one}" for one in empty]


def check_commands(binaries):
    """What the runbooks tell to type: each word of a command stands in the help of those before it."""
    text = "\n".join(page.read_text(encoding="utf-8") for page in (ROOT / "dashboards/runbooks").glob("*.md"))
    helped, unknown = functools.cache(output), set()
    for told in re.findall(r"`tfoctl ([^`]+)`", text):
        words = list(itertools.takewhile(lambda word: re.fullmatch(r"[a-z][a-z-]*", word), told.split()))
        for number, word in enumerate(words):
            known = helped(f"{binaries}/tfoctl", *words[:number], "--help")
            if not re.search(rf"^  {word} ", known, re.MULTILINE):
                unknown.add(" ".join(words))
    return [f"the runbooks name \"tfoctl {command}\", which there is not" for command in sorted(unknown)]


def check_lint(site):
    """What promtool says of the metrics themselves."""
    output("promtool", "check", "metrics", text=site.metrics())


def check_moved(site, times):
    """Every counter has moved, or is one that does not here."""
    names = {one["metric"]["__name__"] for one in site.ask("query", query='{__name__=~"tfo_.+_total"}')["result"]}
    moved = {one.labels["__name__"] for one in site.history('{__name__=~"tfo_.+_total"}', *times)
             if one.points[-1][1] > 0}
    return [f"nothing has moved {name}" for name in sorted(names - moved - STILL)]


def test(binaries, pictures):
    steps = Steps()
    with dashboard_site(binaries) as site:
        start = time.time()
        steps.done("all are up")
        with plain_clients(site.farm):
            quiet(site, steps)
            attack(site, steps)
        times = start, time.time()
        wrong = check_expressions(site, times)
        steps.done("every expression was asked")
        wrong += check_moved(site, times) + check_commands(binaries)
        check_lint(site)
        if pictures:
            import draw_dashboards  # pylint: disable=import-outside-toplevel  (matplotlib is for this alone)
            draw_dashboards.draw(site, times, pictures)
            steps.done(f"drawn into {pictures}")
        if wrong:
            print(site.complain())
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binaries", metavar="BIN")
    parser.add_argument("--draw", metavar="DIR", type=pathlib.Path)
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        print("needs root: it makes network namespaces", file=sys.stderr)
        return 77
    try:
        wrong = test(arguments.binaries, arguments.draw)
    except Failed as error:
        wrong = [str(error)]
    for fault in wrong:
        print(f"FAILED {fault}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
