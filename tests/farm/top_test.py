#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""`tfoctl top` on terminals (tmux) of several sizes, before a real tfod with real traffic: what stands there,
keys, resizing, a tfod that does not answer, and that the terminal is as it was before, however top ended.

  top_test.py BIN [--screenshot FILE]

BIN: the directory of tfod and tfoctl. --screenshot: the screen at 80x24 under attack goes there. Exit code 77:
not root, or no tmux.
"""
import argparse
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

from checks import Checks
from client_farm import DEADLINE, Failed
from page_site import Traffic, page_farm

SIZES = ((80, 24), (60, 15), (132, 50), (20, 5))
ALTERNATE = "alternate_on"


class Tmux:
    """One terminal with a shell in it, of a tmux server of its own."""

    def __init__(self, directory):
        self.socket = str(directory / "tmux")
        self.run("-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", "-s", "top", "env", "PS1=READY ", "sh")
        self.run("set-option", "-g", "window-size", "manual")
        self.wait("a shell", lambda: "READY" in self.screen())

    def run(self, *arguments):
        done = subprocess.run(["tmux", "-S", self.socket, *arguments], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Failed(f"tmux {arguments}: {done.stderr}")
        return done.stdout

    def screen(self):
        return self.run("capture-pane", "-p", "-t", "top")

    def lines(self):
        return self.screen().splitlines()

    def flag(self, name):
        return self.run("display-message", "-p", "-t", "top", f"#{{{name}}}").strip()

    def keys(self, *names):
        self.run("send-keys", "-t", "top", *names)

    def resize(self, columns, rows):
        self.run("resize-window", "-t", "top", "-x", str(columns), "-y", str(rows))

    def wait(self, what, condition, seconds=DEADLINE):
        end = time.monotonic() + seconds
        while not (value := condition()):
            if time.monotonic() > end:
                raise Failed(f"gave up waiting for {what}; the screen is\n{self.screen()}")
            time.sleep(0.05)
        return value

    def says(self, pattern, what=None):
        return self.wait(what or pattern, lambda: re.search(pattern, self.screen(), re.MULTILINE))

    def close(self):
        subprocess.run(["tmux", "-S", self.socket, "kill-server"], capture_output=True, check=False)


class Screen:
    def __init__(self, site, tmux, checks):
        self.site, self.tmux, self.checks = site, tmux, checks
        self.command = " ".join(site.balancer.ctl_command("top"))

    def begin(self, options=""):
        self.tmux.keys(f"{self.command} {options}; echo ended=$?", "Enter")
        self.tmux.wait("top", lambda: self.tmux.flag(ALTERNATE) == "1")
        self.tmux.says(r"^tfoguard ")

    def pid(self):
        shell = self.tmux.flag("pane_pid")
        return int(subprocess.run(["pgrep", "-P", shell, "-x", "tfoctl"], capture_output=True, text=True, check=True).stdout)

    def modes(self):
        """What the terminal does with what is typed."""
        return subprocess.run(["stty", "-F", self.tmux.flag("pane_tty"), "-g"], capture_output=True, text=True,
                              check=True).stdout

    def ended(self, what, code, before):
        self.tmux.wait(f"{what}: the other screen to be gone", lambda: self.tmux.flag(ALTERNATE) == "0")
        self.tmux.says(rf"^ended={code}$", f"{what}: exit {code}")
        self.checks.equal(f"{what}: cursor", self.tmux.flag("cursor_flag"), "1")
        self.checks.equal(f"{what}: wrap", self.tmux.flag("wrap_flag"), "1")
        # A shell that edits its line changes them as well, back and forth.
        self.tmux.wait(f"{what}: the modes", lambda: self.modes() == before)
        self.tmux.keys("clear", "Enter")
        self.tmux.wait("an empty screen", lambda: "ended" not in self.tmux.screen())


def check_screen(screen, traffic):
    tmux, checks = screen.tmux, screen.checks
    tmux.says(r"^Fast Open works:\s+\d+ of the last minute's \d+ cookies are good")
    tmux.says(r"^saved .* round trips in all, .* each\)")
    tmux.says(r"^pool web +steady +current [0-9a-f]{8} \d+")
    tmux.says(r"^web[46] +[\d.]+ +[\d.]+", "rates of a VIP")
    lines = tmux.lines()
    checks.equal("lines at 80x24", len(lines), 24)
    checks.true("the last column is whole", re.search(r" over$", tmux.screen(), re.MULTILINE), tmux.screen())
    checks.true("the keys", "q quit" in lines[-1], lines[-1])
    checks.true("no line is longer", max(map(len, lines)) <= 80, lines)
    checks.true("VIPs come by their rate", re.search(r"SYN/s\*", tmux.screen()), tmux.screen())
    checks.true("clients were served", traffic.answers.get("data", 0) > 0, traffic.answers)
    # It goes on by itself: another second, another clock.
    clock = lines[0]
    tmux.wait("the next second", lambda: tmux.lines()[0] != clock)
    checks.done("80x24")


def check_keys(screen):
    tmux, checks = screen.tmux, screen.checks
    order = [line.split()[0] for line in tmux.lines() if re.match(r"web[46] ", line)]
    checks.equal("both VIPs", sorted(order), ["web4", "web6"])
    tmux.keys("<")
    tmux.says(r"VIP\*", "sorted by name")
    first = [line.split()[0] for line in tmux.lines() if re.match(r"web[46] ", line)]
    checks.equal("by name", first, ["web4", "web6"])
    tmux.keys("r")
    tmux.wait("the other way round", lambda: [line.split()[0] for line in tmux.lines()
                                              if re.match(r"web[46] ", line)] == ["web6", "web4"])
    for key, text in (("2", "no client network is over its limit"), ("Tab", "no alert is raised"), ("4", "nothing is wrong"),
                      ("5", "without SYN")):
        tmux.keys(key)
        tmux.says(text)
    tmux.keys("Down", "Up", "PageDown", "PageUp", "Escape", "1")
    tmux.says(r"VIP\*", "the first table, sorted as before")
    tmux.keys("Space")
    tmux.says("paused")
    frozen = tmux.screen()
    time.sleep(1.5)
    checks.equal("what is paused stays", tmux.screen(), frozen)
    tmux.keys("Space")
    tmux.wait("it to go on", lambda: "paused" not in tmux.screen())
    checks.done("keys")


def check_sizes(screen):
    tmux, checks = screen.tmux, screen.checks
    for columns, rows in SIZES:
        tmux.resize(columns, rows)

        def fits(columns=columns, rows=rows):
            lines = tmux.lines()
            return len(lines) == rows and lines[0].startswith("tfoguard") and re.match("q quit|[0-9]+ more rows", lines[-1])
        tmux.wait(f"top at {columns}x{rows}", fits)
        checks.true(f"{columns}x{rows}: no line is longer", max(map(len, tmux.lines())) <= columns, tmux.screen())
        if columns == 132:
            checks.true("more columns where there is room", re.search(r"mode +limit", tmux.screen()), tmux.screen())
    tmux.resize(80, 24)
    tmux.says(r"^web4 ")
    checks.done("sizes")


def check_silence(screen):
    process = screen.site.balancer.process
    process.send_signal(signal.SIGSTOP)
    try:
        screen.tmux.says("no answer since")
        screen.tmux.says("^web4 ")
        before = screen.before
        screen.tmux.keys("q")
        screen.ended("q while tfod does not answer", 0, before)
    finally:
        process.send_signal(signal.SIGCONT)
    screen.checks.done("a tfod that does not answer")


def check_ends(screen):
    """Each way to end it, and what that leaves."""
    before = screen.modes()
    for what, code, end in (
            ("q", 0, lambda: screen.tmux.keys("q")),
            ("Ctrl-C", 0, lambda: screen.tmux.keys("C-c")),
            ("SIGTERM", 0, lambda: os.kill(screen.pid(), signal.SIGTERM)),
            ("SIGHUP", 0, lambda: os.kill(screen.pid(), signal.SIGHUP)),
            ("SIGSEGV", 128 + signal.SIGSEGV, lambda: os.kill(screen.pid(), signal.SIGSEGV)),
            ("SIGABRT", 128 + signal.SIGABRT, lambda: os.kill(screen.pid(), signal.SIGABRT))):
        screen.begin()
        end()
        screen.ended(what, code, before)
    screen.begin()
    screen.tmux.keys("C-z")
    screen.tmux.wait("the shell", lambda: screen.tmux.flag(ALTERNATE) == "0")
    screen.checks.equal("stopped: modes", screen.modes(), before)
    screen.tmux.keys("fg", "Enter")
    screen.tmux.wait("top again", lambda: screen.tmux.flag(ALTERNATE) == "1")
    screen.tmux.says("^tfoguard ")
    screen.tmux.keys("q")
    screen.tmux.wait("its end", lambda: screen.tmux.flag(ALTERNATE) == "0")
    screen.tmux.keys("clear", "Enter")
    screen.checks.done("ends, and leaves the terminal as it was")


def check_attack(screen, file):
    screen.begin()
    with screen.site.flooded(), screen.site.reflected():
        screen.tmux.says("^Fast Open is degraded")
        screen.tmux.keys("2")
        screen.tmux.says(r"^198\.19\.\d\.0/24 +web4 +network")
        screen.tmux.keys("3")
        screen.tmux.says(r"critical +\d+ .*vip:web4")
        screen.tmux.keys("4")
        screen.tmux.says("Client networks are over the guard's limit")
        screen.tmux.keys("1")
        screen.tmux.says(r"^web4 +\d{3,}", "the flood among the rates")
        if file:
            file.write_text("\n".join(line.rstrip() for line in screen.tmux.lines()) + "\n", encoding="utf-8")
    screen.tmux.keys("q")
    screen.tmux.wait("its end", lambda: screen.tmux.flag(ALTERNATE) == "0")
    screen.checks.done("attack")


def check_scripts(site, checks):
    command = site.balancer.ctl_command("top")

    def run(*more, **environment):
        return subprocess.run([*command, *more], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
                              env=os.environ | environment, timeout=DEADLINE)
    once = run("--once", COLUMNS="100")
    checks.equal("--once", once.returncode, 0)
    for text in ("Fast Open ", "web4 ", "no client network is over", "SYN/s*", "watched"):
        checks.true(f"--once: {text}", text in once.stdout, once.stdout)
    checks.true("--once: plain text", re.fullmatch(r"[\n -~]*", once.stdout), once.stdout)
    checks.true("--once: as wide as asked", max(map(len, once.stdout.splitlines())) <= 100, once.stdout)
    checks.equal("-j", json.loads(run("-j").stdout)["vips_total"], 2)
    nowhere = run()
    checks.equal("no terminal", (nowhere.returncode, "--once" in nowhere.stderr, nowhere.stdout), (2, True, ""))
    checks.done("scripts")


def run(site, arguments, checks):
    with contextlib.closing(Tmux(site.farm.directory)) as tmux, contextlib.closing(Traffic(site.farm)) as traffic:
        screen = Screen(site, tmux, checks)
        screen.before = screen.modes()
        screen.begin()
        check_screen(screen, traffic)
        check_keys(screen)
        check_sizes(screen)
        check_silence(screen)
        check_ends(screen)
        check_scripts(site, checks)
        check_attack(screen, arguments.screenshot)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binaries", metavar="BIN", type=pathlib.Path)
    parser.add_argument("--screenshot", metavar="FILE", type=pathlib.Path)
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        print("needs root: it makes network namespaces", file=sys.stderr)
        return 77
    if shutil.which("tmux") is None:
        print("no tmux: install the package tmux", file=sys.stderr)
        return 77
    checks = Checks()
    try:
        with page_farm(arguments.binaries) as site:
            run(site, arguments, checks)
    except Failed as error:
        print(f"FAILED {error}", flush=True)
        return 1
    print(f"{checks.wrong} failures")
    return 1 if checks.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
