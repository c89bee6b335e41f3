#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A real tfod's /metrics, /healthz and /readyz:

- promtool has nothing to say, and the families are those of README's table
- each VIP has the same series, from the start
- no counter falls over a restart, a kill and a reload; Prometheus' rate() over a restart is right
- what programs cost is counted on across a reload
- a unix socket, and TLS for clients with a certificate only

  metrics_test.py BIN      BIN: the directory of tfod and tfoctl
"""
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import urllib.parse

from client_farm import Failed, wait_for
from metrics_site import PORT, URL, Site, Steady, bad_cookie_syn, vips
from scrape import scrape

README = pathlib.Path(__file__).resolve().parents[2] / "README.md"
STATS = pathlib.Path("/proc/sys/kernel/bpf_stats_enabled")
MANY = 50
RATE = 50  # packets a second
PROMETHEUS = 9090

# Of README's table: families that this site cannot have.
ELSEWHERE = {"tfo_rotations_total", "tfo_rotation_nodes", "tfo_rotation_leader"}
# There once something happened, or by another configuration.
SOMETIMES = {"tfo_next_rotation_timestamp_seconds", "tfo_key_not_after_timestamp_seconds", "tfo_key_repairs_total",
             "tfo_listener_backlog", "tfo_listener_accept_queue", "tfo_listener_fastopen_limit",
             "tfo_listener_fastopen_pending", "tfo_monitor_false_match_ratio", "tfo_program_runs_total",
             "tfo_program_run_seconds_total"}


def equal(what, got, wanted):
    if got != wanted:
        raise Failed(f"{what}: {got!r}, not {wanted!r}")


def check(what, good):
    if not good:
        raise Failed(what)


def documented():
    """The families of README's table of metrics."""
    section = README.read_text(encoding="utf-8").split("\n### Metrics\n", 1)[1].split("\n### ", 1)[0]
    rows = re.findall(r"^\| ((?:`[^`]+`(?:, )?)+) \|", section, re.MULTILINE)
    names = {name.split("{")[0] for row in rows for name in re.findall(r"`([^`]+)`", row)}
    return {name for name in names if name.startswith(("tfo_", "process_"))}


def families_are_documented(site):
    found = set(scrape(site.netns).types)
    table = documented()
    kernel = {name for name in found if name.startswith("tfo_kernel_")}
    equal("families that README does not have", found - table - kernel, set())
    equal("families that README has and tfod has not", table - found - ELSEWHERE - SOMETIMES - {"tfo_kernel_*_total"}, set())


def promtool_is_content(site):
    done = subprocess.run(["promtool", "check", "metrics"], input=scrape(site.netns).text, capture_output=True,
                          text=True, check=False)
    equal("promtool check metrics", (done.returncode, done.stdout, done.stderr), (0, "", ""))


def every_vip_has_the_same_series(site):
    """All of them from the start, whether anything has happened or not."""
    found = scrape(site.netns)
    of_vip = {}
    for name, samples in found.families.items():
        for labels in samples:
            labels = dict(labels)
            if vip := labels.pop("vip", None):
                if name == "tfo_vip_info":
                    continue
                of_vip.setdefault(vip, set()).add((name, *sorted(labels.items())))
    equal("VIPs", len(of_vip), len(site.config["vips"]))
    equal("kinds of VIPs by their series", len(set(map(frozenset, of_vip.values()))), 1)
    print(f"  {len(of_vip)} VIPs, {len(of_vip['vip0'])} series each, {len(found.text) >> 10} KiB", flush=True)


def is_ready(site):
    equal("/readyz", site.curl(f"{URL}readyz")[1:], (200, "ready\n"))
    equal("/healthz", site.curl(f"{URL}healthz")[1:], (200, "ok\n"))
    site.exec("ip", "link", "del", "t0")
    wait_for("/readyz to say so", lambda: site.curl(f"{URL}readyz")[1] == 503)
    _, _, body = site.curl(f"{URL}readyz")
    check(f"/readyz: {body}", re.fullmatch("interface t0: gone: .*\n", body))
    equal("/healthz without an interface", site.curl(f"{URL}healthz")[1], 200)
    for command in ("ip link add t0 type veth peer name t0p", "ip link set t0 up", "ip link set t0p up"):
        site.exec(*command.split())
    wait_for("/readyz to be content", lambda: site.curl(f"{URL}readyz")[1] == 200, site.story, patience=60)


def counters_never_fall(site):
    with Steady(site, 500):
        before = scrape(site.netns)
        for how in ("SIGTERM", "SIGKILL", "SIGHUP"):
            if how == "SIGHUP":
                site.reload()
            else:
                site.stop(getattr(signal, how))
                site.start()
            now = scrape(site.netns)
            # The process' own begin anew, as those of every process do.
            own = ("process_", "tfo_alertmanager_", "tfo_unsolicited_", "tfo_events_lost")
            fallen = [one for one in now.fallen(before) if how == "SIGHUP" or not one.startswith(own)]
            equal(f"fallen over {how}", fallen, [])
            check("nothing was counted", now.sum("tfo_packets_total", reason="cookie_invalid")
                  > before.sum("tfo_packets_total", reason="cookie_invalid"))
            before = now


class Prometheus:
    """The distribution's, scraping every second in the site's namespace."""

    def __init__(self, site):
        self.site = site
        config = site.directory / "prometheus.yml"
        config.write_text(f"scrape_configs: [{{job_name: tfod, scrape_interval: 1s, static_configs: "
                          f"[{{targets: ['127.0.0.1:{PORT}']}}]}}]\n", encoding="utf-8")
        with open(site.directory / "prometheus.log", "wb") as log:
            self.process = subprocess.Popen(
                site.inside("prometheus", f"--config.file={config}", f"--storage.tsdb.path={site.directory}/tsdb",
                            f"--web.listen-address=127.0.0.1:{PROMETHEUS}"), stdout=log, stderr=log)

    def query(self, expression):
        _, status, body = self.site.curl(
            f"http://127.0.0.1:{PROMETHEUS}/api/v1/query?query={urllib.parse.quote(expression)}")
        if status != 200:
            return None
        result = json.loads(body)["data"]["result"]
        return float(result[0]["value"][1]) if result else None

    def close(self):
        self.process.terminate()
        self.process.wait(30)


def rate_over_a_restart_is_right(site):
    prometheus = Prometheus(site)
    series = 'tfo_packets_total{vip="vip0",reason="cookie_invalid",option="34",data="1"}'

    def samples():
        return prometheus.query(f"count_over_time({series}[5m])") or 0
    try:
        with Steady(site, RATE):
            wait_for("Prometheus", lambda: samples() > 12, patience=60)
            began = time.monotonic()
            site.stop(signal.SIGKILL)
            wait_for("Prometheus to miss it", lambda: prometheus.query("up") == 0)
            site.start()
            before = samples()
            wait_for("Prometheus to go on", lambda: samples() > before + 12, patience=60)
            # The window begins and ends with samples: rate() knows nothing of what lies outside them.
            rate = prometheus.query(f"rate({series}[{time.monotonic() - began + 8:.0f}s])")
            resets = prometheus.query(f"resets({series}[5m])")
            missed = prometheus.query("min_over_time(up[5m])")
    finally:
        prometheus.close()
    print(f"  {RATE} packets a second: rate() over a restart {rate:.1f}, resets {resets:g}", flush=True)
    equal("up, at its lowest", missed, 0)
    equal("resets", resets, 0)
    check(f"rate() is {rate}, not {RATE}", abs(rate - RATE) < 0.1 * RATE)


def cost_is_counted_on(site):
    """Each frame is one run, also over a reload that puts a new program in place of the old one."""
    before = STATS.read_text(encoding="ascii")
    if before.strip() == "0":
        equal("without statistics", scrape(site.netns).sum("tfo_program_runs_total"), 0)
    wire = site.wire()
    STATS.write_text("1", encoding="ascii")
    try:
        first = scrape(site.netns).one("tfo_program_runs_total", program="tfo_xdp")
        for _ in range(2):
            for number in range(1000):
                wire.send(bad_cookie_syn(1024 + number))
            site.reload()
        last = scrape(site.netns)
        ran = last.one("tfo_program_runs_total", program="tfo_xdp") - first
        equal("tfo_bpf_stats_enabled", last.one("tfo_bpf_stats_enabled"), 1)
        check(f"{ran} runs for 2000 frames", 2000 <= ran < 2100)  # the kernel sends some of its own
        check("no time", last.one("tfo_program_run_seconds_total", program="tfo_xdp") > 0)
    finally:
        STATS.write_text(before, encoding="ascii")
        wire.close()
    equal("tfo_bpf_stats_enabled", scrape(site.netns).one("tfo_bpf_stats_enabled"), float(before))


def over_a_unix_socket(site):
    path = site.directory / "http.sock"
    site.config["http"] = {"listen": f"unix:{path}"}
    for how in (signal.SIGKILL, signal.SIGTERM):
        site.start()
        equal("mode", oct(path.stat().st_mode & 0o7777), "0o660")
        equal("/healthz", site.curl("--unix-socket", str(path), "http://tfod/healthz")[1:], (200, "ok\n"))
        site.stop(how)
        equal(f"the socket after {how.name}", path.exists(), how == signal.SIGKILL)


def make_certificates(directory):
    def make(name, signer):
        request = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                   f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", f"{directory}/{name}.key"]
        signed = ["-x509", "-days", "2"] if signer == name else [
            "-x509", "-days", "2", "-CA", f"{directory}/{signer}.pem", "-CAkey", f"{directory}/{signer}.key"]
        done = subprocess.run([*request, *signed, "-out", f"{directory}/{name}.pem"], capture_output=True, text=True,
                              check=False)
        if done.returncode != 0:
            subprocess.run([*request, "-out", f"{directory}/{name}.csr"], capture_output=True, check=True)
            subprocess.run(["openssl", "x509", "-req", "-in", f"{directory}/{name}.csr", "-days", "2", "-copy_extensions",
                            "copy", "-CA", f"{directory}/{signer}.pem", "-CAkey", f"{directory}/{signer}.key",
                            "-CAcreateserial", "-out", f"{directory}/{name}.pem"], capture_output=True, check=True)
    for name, signer in (("ours", "ours"), ("theirs", "theirs"), ("node", "ours"), ("new", "theirs"),
                         ("scraper", "ours"), ("stranger", "theirs")):
        make(name, signer)


def a_command_that_cannot_be_run_is_no_good_configuration(site):
    before = json.loads(json.dumps(site.config))
    theirs = site.directory / "theirs"
    theirs.write_text("#!/bin/sh\n", encoding="utf-8")
    theirs.chmod(0o700)
    os.chown(theirs, 65534, 65534)  # root without capabilities is anyone
    for path, why in (("/nowhere/page", "No such file or directory"), ("/bin", "Is a directory"),
                      (str(theirs), "Permission denied"), ("/bin/true", None)):
        site.config.setdefault("alerts", {})["command"] = {"path": path}
        said = why and f"alerts.command.path: {path} cannot be run without capabilities: {why}\n"
        equal(f"--check of {path}", site.check(), said or "")
    site.config = before
    site.write()


def over_tls(site):
    directory = site.directory
    make_certificates(directory)
    url = f"https://127.0.0.1:{PORT}/healthz"

    def client(name, authority="ours"):
        return ["--cacert", f"{directory}/{authority}.pem", "--cert", f"{directory}/{name}.pem",
                "--key", f"{directory}/{name}.key"]
    tls = {"certificate": f"{directory}/node.pem", "key": f"{directory}/node.key", "client_ca": f"{directory}/ours.pem"}
    site.config["http"] = {"listen": f"127.0.0.1:{PORT}", "tls": tls}
    os.chmod(tls["key"], 0o644)
    said = site.check()
    check(f"--check: {said}", f"http.tls.key: {tls['key']}: everybody can read" in said)
    os.chmod(tls["key"], 0o640)
    equal("--check", site.check(), "")
    site.start()
    equal("with its certificate", site.curl(*client("scraper"), url)[1:], (200, "ok\n"))
    check("without a certificate it is served", site.curl("--cacert", f"{directory}/ours.pem", url)[1] == 0)
    check("another authority's client is served", site.curl(*client("stranger"), url)[1] == 0)
    check("TLS 1.1 is served", site.curl(*client("scraper"), "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0",
                                         url)[1] == 0)
    site.config["http"]["tls"] = {"certificate": f"{directory}/new.pem", "key": f"{directory}/new.key",
                                  "client_ca": f"{directory}/theirs.pem"}
    site.reload()
    equal("new certificates", site.curl(*client("stranger", "theirs"), url)[1:], (200, "ok\n"))
    check("the old client is still served", site.curl(*client("scraper", "theirs"), url)[1] == 0)
    (directory / "new.pem").write_text("nothing", encoding="ascii")
    site.reload()
    check("a broken certificate was taken", f"http.tls.certificate: {directory}/new.pem" in site.story())
    equal("after that", site.curl(*client("stranger", "theirs"), url)[1:], (200, "ok\n"))
    site.stop()


ORDINARY = (promtool_is_content, families_are_documented, is_ready, counters_never_fall, rate_over_a_restart_is_right,
            cost_is_counted_on, a_command_that_cannot_be_run_is_no_good_configuration)
LARGE = (every_vip_has_the_same_series, promtool_is_content)
DOORS = (over_a_unix_socket, over_tls)


def main():
    if os.geteuid() != 0:
        print("needs root: it makes network namespaces", file=sys.stderr)
        return 77
    wrong = 0
    with Site(sys.argv[1]) as site:
        for count, tests in ((1, ORDINARY), (MANY, LARGE), (1, DOORS)):
            site.config["vips"] = vips(count)
            if tests is not DOORS:
                site.start()
            for test in tests:
                print(test.__name__, flush=True)
                try:
                    test(site)
                except (Failed, OSError, KeyError) as error:
                    wrong += 1
                    print(f"FAILED {test.__name__}: {error}\n{site.story()[-3000:]}", flush=True)
            if site.process.poll() is None:
                site.stop()
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
