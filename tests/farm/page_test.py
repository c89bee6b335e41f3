#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The status page of a farm's balancer in Debian's Chromium, with real traffic behind it: quiet, in a rotation,
under attack, and when tfod does not answer. What it says is what is so; nothing on the console, no other host
is asked; dark and light, 1280 and 390 pixels wide without a horizontal scroll bar; with the keyboard.

  page_test.py BIN [--screenshots DIR] [--seconds N]

BIN: the directory of tfod and tfoctl. --screenshots: pictures of each scene go there, taken after N seconds
(default 3; with pictures 100). Exit code 77: not root, or no Chromium.
"""
import argparse
import contextlib
import gzip
import json
import os
import pathlib
import signal
import sys

import browser
from checks import Checks
from client_farm import Failed
from page_site import REFLECTED, Traffic, page_farm

HOSTILE = "http://127.0.0.1:9/<img/src=x/onerror=document.title=1>"  # an Alertmanager
TAB, ENTER = "\ue004", "\ue007"
LOOKS = ((1280, False), (1280, True), (390, False), (390, True))
HEADLINE = "return document.getElementById('headline').textContent === arguments[0]"
SAYS = "return (document.querySelector(arguments[0])?.innerText ?? '').includes(arguments[1])"
WIDE = """
return [...document.querySelectorAll('body *')].filter((one) => one.getBoundingClientRect().right > innerWidth + 1
  && !one.closest('.unseen, .skip, thead')).map((one) => one.outerHTML.slice(0, 120))"""
UNNAMED = """
const bad = [];
for (const one of document.querySelectorAll('canvas')) if (!/a second now/.test(one.ariaLabel)) bad.push('canvas without its numbers');
for (const one of document.querySelectorAll('main > section')) {
  if (!document.getElementById(one.getAttribute('aria-labelledby'))) bad.push('section without a title: ' + one.id);
}
for (const one of document.querySelectorAll('table')) if (!one.closest('.evidence') && !one.caption?.textContent) bad.push('table without a caption');
let level = 0;
for (const one of document.querySelectorAll('h1, h2, h3, h4')) {
  const own = Number(one.tagName[1]);
  if (own > level + 1) bad.push('heading skips a level: ' + one.textContent);
  level = own;
}
if (document.querySelectorAll('h1').length !== 1) bad.push('not one h1');
for (const name of ['header', 'main', 'footer']) if (!document.querySelector(name)) bad.push('no ' + name);
return bad"""
# Of every text whose own background, or that of what it is in, is a plain colour (WCAG 2, 1.4.3).
CONTRAST = """
const channel = (value) => (value /= 255, value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
const parse = (text) => text.match(/[\\d.]+/g).map(Number);
const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
const bad = new Set();
for (const one of document.querySelectorAll('main *, header *, footer *')) {
  if (one.closest('.unseen, .skip, noscript, svg') || ![...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim())) continue;
  if (one.getClientRects().length === 0) continue;
  let around = one;
  while (around && parse(getComputedStyle(around).backgroundColor)[3] === 0) around = around.parentElement;
  const back = light(parse(getComputedStyle(around ?? document.body).backgroundColor));
  const front = light(parse(getComputedStyle(one).color));
  const ratio = (Math.max(back, front) + 0.05) / (Math.min(back, front) + 0.05);
  if (ratio < 4.5) bad.add(`${one.tagName}.${one.className} ${one.dataset.mark ?? ''} "${one.textContent.slice(0, 20)}": ${ratio.toFixed(2)}`);
}
return [...bad]"""


class Scene:
    def __init__(self, site, window, arguments, checks):
        self.site, self.window, self.arguments, self.checks = site, window, arguments, checks

    def settle(self):
        """Lets the charts have something to show."""
        begun = self.site.overview()["now"]
        self.window.wait("time to pass", "return fetch('/api/overview').then((r) => r.json()).then((all) => all.now >= arguments[0])",
                         begun + self.arguments.seconds, seconds=self.arguments.seconds + browser.DEADLINE)

    def looks(self, name):
        for width, dark in LOOKS:
            self.window.look(width, dark)
            self.window.wait("the page to have that width", "return document.documentElement.clientWidth === arguments[0]", width)
            # Charts are drawn anew with the next answer.
            self.window.wait("two frames", "return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")
            what = f"{name}, {width} px, {'dark' if dark else 'light'}"
            self.checks.equal(f"{what}: what is too wide", self.window.script(WIDE), [])
            self.checks.equal(f"{what}: what is hard to read", self.window.script(CONTRAST), [])
            if self.arguments.screenshots and (width == 1280 or name == "attack"):
                self.window.screenshot(self.arguments.screenshots / f"page-{name}-{width}-{'dark' if dark else 'light'}.png")
        self.window.look(1280, False)
        self.checks.equal(f"{name}: what has no name", self.window.script(UNNAMED), [])

    def says(self, selector, text, what):
        self.window.wait(f"{what} ({text!r} in {selector})", SAYS, selector, text)


def check_http(site, checks):
    """What browsers are told, and what a request from elsewhere gets."""
    status, headers, page = site.get("/")
    checks.equal("/", (status, headers["Content-Type"]), (200, "text/html; charset=utf-8"))
    checks.true("a policy for its contents", "default-src 'none'" in headers["Content-Security-Policy"] and
                "unsafe" not in headers["Content-Security-Policy"])
    checks.equal("nosniff", headers["X-Content-Type-Options"], "nosniff")
    checks.true("no word of another host", b"http" not in page.replace(b"http-equiv", b""), page)
    status, headers, packed = site.get("/", {"Accept-Encoding": "br;q=1, gzip"})
    checks.equal("compressed", (status, headers["Content-Encoding"], gzip.decompress(packed)), (200, "gzip", page))
    checks.equal("not compressed", site.get("/", {"Accept-Encoding": "identity"})[1]["Content-Encoding"], None)
    for host, wanted in (("tfo.example", 421), ("localhost:80", 200), ("127.0.0.1", 200), ("[::1]:1", 200)):
        checks.equal(f"Host: {host}", site.get("/api/overview", {"Host": host})[0], wanted)
    for path in ("/page/", "/page/index.html", "/page/../etc/passwd", "/page/%2e%2e/main.js", "/api/", "/api/key-export"):
        checks.equal(path, site.get(path)[0], 404)
    checks.true("nothing is changed by it", site.get("/api/overview", method="POST")[0] in (400, 404))
    ours, theirs = json.loads(site.get("/api/status")[2]), site.balancer.ctl("status")
    for moving in ("uptime_s", "guard", "monitor", "namespaces", "pools"):
        checks.equal(f"members of status.{moving}", type(ours.pop(moving)), type(theirs.pop(moving)))
    checks.equal("/api/status and tfoctl -j status", ours, theirs)
    checks.done("HTTP")


def check_quiet(scene, traffic):
    window, checks = scene.window, scene.checks
    window.wait("Fast Open to work", HEADLINE, "Fast Open works")
    checks.true("clients are served", traffic.answers.get("data", 0) > 0, traffic.answers)
    scene.says("#reason", "round trips saved", "what is saved")
    scene.says("#alerts-body", "No alert is raised", "no alerts")
    scene.says("#keys-body", "no rotation under way", "the rotation's state")
    scene.says("#guard-body", "No client network is over its limit", "the guard")
    scene.says("#attached-body", "native", "how it is attached")
    scene.says("#vips-body", "web4", "the VIPs")
    scene.settle()
    told = scene.site.overview()
    shown = int(window.text("#tiles .tile:nth-child(2) .value").replace(",", ""))
    checks.true("round trips saved", 0 < shown <= told["saved"]["round_trips"], (shown, told["saved"]))
    checks.true("half of the cookies are there", told["totals"]["classes"]["good"] >= told["saved"]["round_trips"], told["totals"])
    ring = {key["fingerprint"] for key in told["pools"][0]["ring"]}
    checks.true("the ring's fingerprints", all(one in window.text("#keys-body") for one in ring), ring)
    checks.equal("the title", window.script("return document.title"), f"Fast Open works · {told['node']}")
    scene.looks("quiet")
    checks.done("quiet")


def check_reload(scene):
    """A page that is loaded anew has a past at once."""
    before = len(json.loads(scene.site.get("/api/history")[2])["points"])
    scene.window.open(scene.site.url)
    scene.window.wait("its past", "return window.Chart?.getChart(document.querySelector('canvas'))?.data.datasets[0].data.length >= arguments[0]",
                      min(before, 250))
    scene.checks.done("loaded anew, with its past")


def check_keyboard(scene):
    window, checks = scene.window, scene.checks
    window.press(TAB)
    checks.equal("first comes a way past the head", window.script("return document.activeElement.className"), "skip")
    window.press(ENTER)
    checks.equal("it leads to the content", window.script("return document.activeElement.id"), "main")
    window.press(TAB)
    checks.equal("then what can be opened", window.script("return document.activeElement.tagName"), "SUMMARY")
    while not window.script("return document.activeElement.closest('#classes-chart, footer')"):
        window.press(TAB)
    checks.true("the focus is seen", window.script("return getComputedStyle(document.activeElement).outlineWidth") == "3px")
    window.press(ENTER)
    window.wait("the chart's table", "return document.querySelector('#classes-chart details').open")
    scene.says("#classes-chart details", "the last minute", "the numbers of the chart")
    # What is drawn anew keeps what the user did.
    beat = window.script("return document.getElementById('live').textContent")
    window.wait("the next answer", "return document.getElementById('live').textContent !== arguments[0]", beat)
    checks.equal("open and focused as before", window.script(
        "return [document.querySelector('#classes-chart details').open, document.activeElement.tagName]"), [True, "SUMMARY"])
    window.press(ENTER)
    checks.done("keyboard")


def check_rotation(scene):
    with scene.site.rotating() as late:
        scene.says("#keys-body", "rotating", "the rotation")
        scene.says("#keys-body", f"waits for {late}", "who is waited for")
        # Clients do not notice.
        scene.checks.equal("it works all the same", scene.window.text("#headline"), "Fast Open works")
        scene.looks("rotation")
    scene.says("#keys-body", "no rotation under way", "the rotation's end")
    scene.checks.done("rotation")


def check_attack(scene):
    site, window, checks = scene.site, scene.window, scene.checks
    with site.flooded(), site.reflected():
        window.wait("the page to say that it is degraded", HEADLINE, "Fast Open is degraded")
        scene.says("#alerts-body", "SYN-ACKs come to a VIP, which asks for none", "the alert")
        scene.says("#guard-body", "198.19.0.0/24", "the network over its limit")
        scene.says("#findings", "Client networks are over the guard's limit", "the guard among what was found")
        scene.settle()
        if not scene.arguments.screenshots:
            scene.says("#conditions-body", HOSTILE, "markup as text")
        checks.equal("markup as markup", window.script("return document.querySelectorAll('main img').length"), 0)
        for text in ("203.0.1", "TOP: REFLECTORS", "192.0.2.10", "up0: xdp native"):
            scene.says("#alerts-body", text, "the evidence")
        checks.true("everything is shown as text", "[object" not in window.text(), window.text())
        told = next(one for one in site.overview()["alerts"]["alerts"] if one["rule"] == "vip")
        checks.true("its rate", told["rate"] > REFLECTED, told["rate"])
        spoken = window.script("return document.getElementById('spoken').textContent")
        checks.true("who listens is told", spoken.startswith("Fast Open is degraded"), spoken)
        scene.looks("attack")
    checks.done("attack")


def check_silence(scene):
    """tfod is stopped: the page says since when, keeps what it has, and goes on by itself."""
    process, window = scene.site.balancer.process, scene.window
    process.send_signal(signal.SIGSTOP)
    try:
        window.wait("the page to miss tfod", "return !document.getElementById('stale').hidden")
        scene.says("#stale", "does not answer since", "since when")
        scene.checks.true("what it had is there", "web4" in window.text("#vips-body"))
        scene.looks("silence")
    finally:
        process.send_signal(signal.SIGCONT)
    window.wait("the page to be live again", "return document.getElementById('stale').hidden")
    scene.checks.done("silence, and back")


def run(site, arguments, checks):
    site.restart(lambda config: config.update(monitor={"tracked": [{"name": "office", "prefixes": ["203.0.113.200"]}]}))
    if not arguments.screenshots:
        site.restart(lambda config: config["alerts"].update(alertmanager={"urls": [HOSTILE]}))
    check_http(site, checks)
    with contextlib.closing(Traffic(site.farm)) as traffic, contextlib.closing(browser.Browser(site.netns)) as window:
        scene = Scene(site, window, arguments, checks)
        window.look(1280, False)
        window.open(site.url)
        check_quiet(scene, traffic)
        check_reload(scene)
        check_keyboard(scene)
        check_rotation(scene)
        check_attack(scene)
        window.drain()
        checks.equal("the console", window.complaints, [])
        check_silence(scene)
        window.drain()
        elsewhere = sorted({one for one in window.asked if not one.startswith((site.url, "data:", "about:", "chrome:"))})
        checks.equal("other hosts that were asked", elsewhere, [])
        checks.true("requests are seen", sum(one.endswith("/api/overview") for one in window.asked) > 5)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binaries", metavar="BIN", type=pathlib.Path)
    parser.add_argument("--screenshots", metavar="DIR", type=pathlib.Path)
    parser.add_argument("--seconds", metavar="N", type=int)
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        print("needs root: it makes network namespaces", file=sys.stderr)
        return 77
    if missing := browser.missing():
        print(f"no {missing}: install the packages chromium and chromium-driver", file=sys.stderr)
        return 77
    arguments.seconds = arguments.seconds or (100 if arguments.screenshots else 3)
    if arguments.screenshots:
        arguments.screenshots.mkdir(parents=True, exist_ok=True)
    checks = Checks()
    try:
        with page_farm(arguments.binaries) as site:
            run(site, arguments, checks)
    except (Failed, browser.Failed) as error:
        print(f"FAILED {error}", flush=True)
        return 1
    print(f"{checks.wrong} failures")
    return 1 if checks.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
