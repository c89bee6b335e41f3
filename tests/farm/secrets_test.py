#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""No key comes out but by `tfoctl key export`: not in logs at the highest level, metrics, error
texts, command lines, environments, files that others can read, core dumps, or what etcd has on its disks,
in whatever form. The same search finds each of these when a key is planted there.

  secrets_test.py BIN [SCENARIO...]     BIN: the directory of tfod and tfoctl
"""
import contextlib
import json
import os
import pathlib
import secrets
import signal
import stat
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import own_namespaces  # noqa: E402
import secret_planting  # noqa: E402
import secret_search  # noqa: E402
from secrets_etcd import Shared  # noqa: E402
from secrets_stores import SCENARIOS, ImportedFile, slips  # noqa: E402
from secrets_site import (WITHOUT_PTRACE, Failed, ProcessWatch, Site, core_limits, http_answer, readable_without_ptrace,  # noqa: E402
                          unlimited_cores, wait_for)

ADDRESSES = ("192.0.2.1", "192.0.2.10")
DEADLY = (signal.SIGABRT, signal.SIGSEGV, signal.SIGQUIT)


def misuse_tfoctl(site, key):
    """Keys where they do not belong, and keys with a slip where they do. They stand on our own
    command lines, so that those are not searched for them."""
    text = secret_search.text_of_key(key)
    for bad in slips(text):
        site.ctl("cookie", "make", "--key", bad, *ADDRESSES, code=2)
        site.ctl("key", "import", "web", "--key-file", "-", text=f"# keys\n{text}\n{bad}\n", code=2)
        site.ask(json.dumps({"command": "key-import", "pool": "web", "keys": [bad]}))
    capture = site.private / "empty.pcap"
    capture.write_bytes(bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000"))
    bad = slips(text)[2]
    for word in (text, bad, text.replace("-", ""), text.replace("-", "--")):
        for arguments in (
                [word], ["status", word], ["--" + word], [f"--{word}={word}"], ["key", word], ["key", "show", word],
                ["key", "rotate", word], ["key", "export", word], ["key", "import", word, "--key-file", word],
                ["key", "import", "web", "--key-file", word], ["cookie", "make", word, *ADDRESSES],
                ["cookie", "make", "--key-file", word, *ADDRESSES], ["cookie", "make", "--key", text, word, word],
                ["cookie", "check", "--key", text, *ADDRESSES, word], ["vip", "list", word], ["stats", "--vip", word],
                ["stats", "watch", "--interval", word], ["bench", "--runs", word], ["bench", "--case", word],
                ["--socket", word, "status"], ["--instance", word, "status"], ["replay", word, "--key", text],
                ["replay", str(capture), "--config", word], ["replay", str(capture), "--decap", word],
                ["replay", str(capture), "--config", str(site.config_file), "--interface", word],
                ["explain", "--hex", "45", "--key", text], ["explain", word, "--frame", word],
                ["explain", "--hex", word + "zz", "--key", text]):
            site.ctl(*arguments, kind="errors of tfoctl")
    for bad in slips(text):
        site.ctl("replay", str(capture), "--key-file", "-", text=f"{text}\n{bad}\n", code=2)
        site.ctl("replay", str(capture), "--key", f"{text},{bad}", code=2)
    site.ctl("replay", str(capture), "--key", text, code=0)


def misplaced(config, word):
    """Configurations with a key in the wrong place."""
    def changed(change):
        copy = json.loads(json.dumps(config))
        change(copy)
        return json.dumps(copy)
    good = json.dumps(config)
    yield good[:-1] + f', "{word}"'
    yield good[:-1] + f', "{word}": 1}}'
    yield good[:-1] + f', "x": "{word}'
    yield good[:-1] + f', "x": {word}}}'
    yield f"{word}\n" + good
    for field in ("instance", "socket", "state_directory", "log_level", "bpffs", "http", "interfaces", "vips", "server"):
        yield changed(lambda c, field=field: c.update({field: word}))
    yield changed(lambda c: c["http"].update(listen=word))
    yield changed(lambda c: c["pools"].update({word: {}}))
    yield changed(lambda c: c["pools"].update({"new": {word: word}}))
    yield changed(lambda c: c["pools"].update({"new": {"file": "/nowhere/there", "store": word}}))
    for field in ("key", "keys", "secret", "store", "file", "interval", "not_after", "accept_generations"):
        yield changed(lambda c, field=field: c["pools"]["web"].update({field: word}))
    for field in ("name", "pool", "mode", "addresses", "ports"):
        yield changed(lambda c, field=field: c["vips"][0].update({field: word}))
        yield changed(lambda c, field=field: c["vips"][0].update({field: [word]}))
    yield changed(lambda c: c["interfaces"].append({"name": word[:15], "mode": word, "decap": [word]}))
    yield changed(lambda c: c["server"]["namespaces"].append({"pool": "web", "netns": word}))
    yield changed(lambda c: c["server"]["namespaces"].append({"pool": word, "netns": "/" + word}))


def misuse_tfod(site, key):
    text = secret_search.text_of_key(key)
    for word in (text, slips(text)[2]):
        for config in misplaced(site.config, word):
            site.check(config)
            site.write(config)
            site.reload()
            site.ctl("-j", "status")
            site.show("answers over HTTP", http_answer(site.port, "/api/overview"))
        for arguments in ([word], ["--" + word], ["--config", word], ["--check", "--config", "/" + word]):
            done = subprocess.run([site.tfod, *arguments], capture_output=True, check=False)
            site.show("errors of tfod", done.stdout, done.stderr)
    site.write()
    site.reload()


def look_around(site, key):
    """Every answer that there is."""
    text = secret_search.text_of_key(key)
    for arguments in (["status"], ["stats"], ["key", "show"], ["vip", "list"], ["--help"], ["key", "--help"]):
        site.ctl(*arguments, code=0)
        site.ctl("-v", "-j", *arguments, code=0)
    for command in ("status", "overview", "stats", "vips", "keys", "key-rotate", "key-import", "nonsense", text, "key-" + text):
        for pool in ("web", "", text):
            site.ask(json.dumps({"command": command, "pool": pool}))
    for line in (text, f'{{"{text}', json.dumps({"command": [text]}), json.dumps({"command": "key-import", "keys": text}),
                 json.dumps({"command": "key-import", "pool": "web", "keys": [[text], text]})):
        site.ask(line)
    site.ctl("top", "--once", "--interval", "0.1", code=0)
    site.ctl("-j", "top", code=0)
    for path in ("/metrics", "/healthz", "/", "/keys", "/" + text, f"/metrics?{text}", "/page/main.js", "/page/" + text,
                 "/api/overview", "/api/status", "/api/history", f"/api/overview?{text}", "/api/" + text):
        site.show("answers over HTTP", http_answer(site.port, path))


def masked_command_line(site, key):
    """A key that somebody did type is not there for those who list processes later."""
    text = secret_search.text_of_key(key)
    child = subprocess.Popen([site.tfoctl, "replay", "-", "--key", text], stdin=subprocess.PIPE,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    line = pathlib.Path(f"/proc/{child.pid}/cmdline")
    try:
        wait_for("the key to leave the command line", lambda: b"xxx" in line.read_bytes(), 5)
        return b"replay" in line.read_bytes() and text.encode() not in line.read_bytes()
    except Failed:
        return False
    finally:
        child.stdin.close()
        child.wait()


def faults_of_modes(site):
    """What of tfod's own is open to others."""
    wrong = []
    for path in (site.state, site.run_directory, pathlib.Path("/sys/fs/bpf/tfoguard/secrets")):
        if stat.S_IMODE(path.stat().st_mode) != 0o700:
            wrong.append(f"{path} has mode {stat.S_IMODE(path.stat().st_mode):04o}")
        wrong += [f"{file} has mode {stat.S_IMODE(file.lstat().st_mode):04o}" for file in path.rglob("*")
                  if not file.is_symlink() and stat.S_IMODE(file.lstat().st_mode) & 0o077]
    return wrong


def faults_of_dumps(site):
    """Core dumps are off for tfod, from outside too, and nobody without CAP_SYS_PTRACE looks in."""
    wrong = []
    control = subprocess.Popen([*WITHOUT_PTRACE, "sleep", "600"], cwd=site.working, preexec_fn=unlimited_cores)
    wait_for("sleep", lambda: pathlib.Path(f"/proc/{control.pid}/cmdline").read_bytes().split(b"\0")[0] == b"sleep")
    if not readable_without_ptrace(control.pid):
        raise Failed("the probe cannot look into any process, so that it proves nothing")
    control.send_signal(signal.SIGABRT)
    dumps = os.waitid(os.P_PID, control.pid, os.WEXITED | os.WNOWAIT).si_code == os.CLD_DUMPED
    control.wait()
    if not dumps:
        print("  this machine dumps no core of `sleep` either: only limits and PR_SET_DUMPABLE were checked")
    for file in site.working.glob("*core*"):
        file.unlink()
    for number in DEADLY:
        if core_limits(site.process.pid) != ["0", "0"]:
            wrong.append(f"core limits of tfod: {core_limits(site.process.pid)}")
        if readable_without_ptrace(site.process.pid):
            wrong.append("tfod is dumpable")
        if site.stop(number).si_code == os.CLD_DUMPED or any(site.working.iterdir()):
            wrong.append(f"tfod left a core dump on {number.name}")
        site.start()
    return wrong


def faults_of_tfoctl_dumps(site):
    wrong = []
    for number in DEADLY:
        child = subprocess.Popen([*WITHOUT_PTRACE, site.tfoctl, "key", "import", "web", "--key-file", "-"],
                                 stdin=subprocess.PIPE, cwd=site.working, preexec_fn=unlimited_cores)
        place = pathlib.Path(f"/proc/{child.pid}/wchan")
        wait_for("tfoctl to read its keys",
                 lambda: core_limits(child.pid) == ["0", "0"] or "pipe" in place.read_text(encoding="ascii"))
        if core_limits(child.pid) != ["0", "0"]:
            wrong.append(f"core limits of tfoctl: {core_limits(child.pid)}")
        if readable_without_ptrace(child.pid):
            wrong.append("tfoctl is dumpable")
        child.send_signal(number)
        if os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT).si_code == os.CLD_DUMPED:
            wrong.append(f"tfoctl left a core dump on {number.name}")
        child.stdin.close()
        child.wait()
    return wrong


def leaks(title, found):
    """Never the secret itself."""
    return [f"{title}: secret {number} in {place}, as {form}" for place, form, number in found]


def run_scenario(binaries, directory, scenario):
    typed = secrets.token_bytes(16)  # stands on command lines by our own doing, and in configurations
    site = Site(binaries, directory, scenario)
    wrong = []
    try:
        with ProcessWatch() as watch:
            scenario.begin(site)
            site.start()
            scenario.note(site)
            scenario.change_keys(site)
            look_around(site, typed)
            if scenario.misuse:
                misuse_tfod(site, typed)
                misuse_tfoctl(site, typed)
                if not masked_command_line(site, typed):
                    wrong.append("a key typed on the command line stays there")
            wrong += faults_of_modes(site)
            scenario.note(site)
            wrong += faults_of_dumps(site) + faults_of_tfoctl_dumps(site)
            scenario.note(site)
            site.stop()
            for _ in scenario.damage(site):
                site.refused()
            site.start()
            scenario.note(site)
            site.stop()
        places = [*site.places(), *scenario.places()]
        wrong += leaks("in use", secret_search.search(secret_search.needles(sorted(scenario.in_use)),
                                                      places + sorted(watch.seen)))
        wrong += leaks("typed", secret_search.search(secret_search.needles([typed, *scenario.typed]), places))
        private = secret_search.files(site.state, site.private, every=True)
        if not secret_search.search(secret_search.needles(sorted(scenario.in_use)), private):
            wrong.append("the search does not find the keys where they are kept")
        amount = sum(len(data) for _, data in places) + sum(len(data) for _, data in watch.seen)
        print(f"  {len(scenario.in_use)} secrets, {len(places)} places, {len(watch.seen)} pieces of "
              f"/proc, {amount} bytes searched")
        wrong += scenario.plants_that_are_not_found()
    finally:
        site.close()
        scenario.close()
    return wrong


def plants_that_are_not_found(binaries, directory):
    """The search, on a site where nothing runs, before and after each form of a key is planted in each place."""
    site = Site(binaries, directory, ImportedFile())
    site.state.mkdir(mode=0o700)
    key = secret_planting.new_key()
    wanted = secret_search.needles([key])

    def found():
        return {place for place, _, _ in secret_search.search(wanted, [*site.places(), *secret_search.processes()])}
    missed = [f"in {place} before it was planted" for place in found()]
    count = 0
    try:
        for form, planted in secret_planting.forms(key).items():
            for place, plant in secret_planting.PLACES.items():
                with plant(site, planted) as name:
                    count += 1
                    if name not in found():
                        missed.append(f"{form} in {place} is not found")
    finally:
        site.close()
    missed += [f"still in {place} afterwards" for place in found()]
    print(f"  {count} plants, {len(wanted)} needles")
    return missed


@contextlib.contextmanager
def network():
    """A veth and a BPF file system, in namespaces that are ours alone."""
    for command in (["ip", "link", "set", "lo", "up"],
                    ["ip", "link", "add", "t0", "type", "veth", "peer", "name", "t0_peer"],
                    ["ip", "link", "set", "t0", "up"], ["ip", "link", "set", "t0_peer", "up"],
                    ["mount", "-t", "bpf", "-o", "mode=0755", "bpf", "/sys/fs/bpf"]):
        subprocess.run(command, check=True)
    yield
    subprocess.run(["umount", "/sys/fs/bpf"], check=True)


def test(binaries, names):
    wrong = []
    with network():
        for kind in (*SCENARIOS, Shared):
            if names and kind.__name__ not in names:
                continue
            print(f"{kind.name}:", flush=True)
            with tempfile.TemporaryDirectory(prefix="tfo-secrets-") as directory:
                wrong += run_scenario(binaries, pathlib.Path(directory), kind())
        print("planted keys:", flush=True)
        with tempfile.TemporaryDirectory(prefix="tfo-secrets-") as directory:
            wrong += plants_that_are_not_found(binaries, pathlib.Path(directory))
    for fault in wrong:
        print(f"FAILED {fault}")
    return 1 if wrong else 0


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    if os.geteuid() != 0:
        print("needs root: it makes network namespaces", file=sys.stderr)
        return 77
    own_namespaces.enter()
    try:
        return test(pathlib.Path(sys.argv[1]).resolve(), sys.argv[2:])
    except Failed as error:
        print(f"FAILED {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
