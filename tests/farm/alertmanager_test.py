#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Alerts of two nodes on their way through the distribution's Alertmanager to whom it tells, with the
alertmanager.yml of README: labels, evidence, one group for a rule, one node's critical alert that
inhibits the other's warning, and the end of an alert although the node's clock is ahead. Then
Alertmanager dies, and nothing is lost of what begins and ends meanwhile; tfod dies and comes again,
and an alert is as old as before; a reflection at both nodes is told, grouped, outlives Alertmanager and ends;
tfod dies for good, and its alert ends by itself.

  alertmanager_test.py BIN      BIN: the directory of tfod
"""
import datetime
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import own_namespaces
from alert_site import VIP, Alertmanager, Failed, Node, Receiver, checked, example, wait_for
from checks import Checks

RULE, SYSCTL_RULE, REFLECTION = "invalid_cookie_ratio", "cookie_not_required", "vip"
EXPIRES = 10  # seconds, of node a; of b so many that nobody waits for them
B_AHEAD = 3  # seconds that b's clock is ahead
B_EXPIRES = 300
LEVEL = {"rate": 5, "window": "1s", "hold": "0"}
RATIO = {**LEVEL, "share": 0.1}
ENDED = "Alertmanager no longer has "


def alerts_section(expires, warning, critical):
    return {
        "rules": {RULE: {"warning": warning, "critical": critical, "clear_after": "1s"},
                  REFLECTION: {"warning": LEVEL, "clear_after": "1s"},
                  SYSCTL_RULE: {"critical": {"hold": "0"}, "clear_after": "1s"}},
        "alertmanager": {"urls": ["http://127.0.0.1:9093"], "kinds": ["cookies", "server", "reflection"],
                         "resend": "1s", "expires": f"{expires}s"},
    }


def unix(text):
    """Of an RFC 3339 time."""
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class Scene:
    """Alertmanager, its receiver and the two nodes. `a` is a server, too."""

    def __init__(self, binaries, directory):
        self.receiver = Receiver()
        self.manager = Alertmanager(directory, self.receiver.url)
        self.a = Node(binaries, directory, "a", alerts_section(EXPIRES, RATIO, "off"))
        self.a.config["server"] = {"namespaces": [{"pool": "web"}]}
        self.b = Node(binaries, directory, "b", alerts_section(B_EXPIRES, RATIO, "off"), clock=B_AHEAD)

    def alert(self, node, rule=RULE, severity="warning"):
        return self.manager.alerts().get((rule, node.instance, severity))

    def wait_alert(self, node, rule=RULE, severity="warning"):
        return wait_for(f"{severity} {rule} of {node.name}", lambda: self.alert(node, rule, severity))

    def wait_end(self, node, rule=RULE, severity="warning", seconds=20):
        wait_for(f"{ENDED}{severity} {rule} of {node.name}", lambda: not self.alert(node, rule, severity), seconds)

    def wait_told(self, path, status, rule, node, after=0):
        return wait_for(f"{path} to hear that {rule} of {node.name} is {status}",
                        lambda: self.receiver.told(path, status, rule, node.instance, after))


def check_example(directory):
    """What README shows is what Alertmanager's own tool takes."""
    file = directory / "example.yml"
    file.write_text(example(), encoding="utf-8")
    checked("amtool", "check-config", str(file))


def check_first(scene, checks):
    """One node's alert: what it says."""
    scene.a.traffic.on.set()
    alert = scene.wait_alert(scene.a)
    checks.equal("labels", alert["labels"], {
        "rule": RULE, "kind": "cookies", "victim": "web", "severity": "warning", "pool": "web",
        "instance": scene.a.instance})
    evidence = json.loads(alert["annotations"]["evidence"])
    checks.true("invalid cookies in the evidence", evidence["reasons_ever"]["cookie_invalid"] > 0)
    checks.true("a summary", alert["annotations"]["summary"])
    checks.equal("its runbook", alert["annotations"]["runbook_url"],
                 "dashboards/runbooks/guard.md#tfoinvalidcookieratiohigh")
    checks.true("numbers in the description", "/s now" in alert["annotations"]["description"])
    checks.equal("startsAt", unix(alert["startsAt"]), scene.a.raised()[RULE]["raised_at"])
    checks.true("it would end by itself", 0 < unix(alert["endsAt"]) - time.time() <= EXPIRES)
    checks.done("raised, with labels and evidence")
    return alert


def check_group(scene, checks, first):
    """The other node's alert joins the group; renewed numbers make no new alert of it."""
    scene.b.traffic.on.set()
    scene.wait_alert(scene.b)
    message = wait_for("one message of both nodes", lambda: next(
        (one for path, one in scene.receiver.messages if path == "/network" and len(one["alerts"]) == 2), None))
    checks.equal("what groups", message["groupLabels"], {"rule": RULE})
    checks.equal("who is in the message", {one["labels"]["instance"] for one in message["alerts"]},
                 {scene.a.instance, scene.b.instance})
    before = len(scene.receiver.messages)
    text = first["annotations"]["description"]
    later = wait_for("other numbers", lambda: (one := scene.alert(scene.a)) and
                     one["annotations"]["description"] != text and one)
    checks.equal("its fingerprint", later["fingerprint"], first["fingerprint"])
    checks.equal("its beginning", later["startsAt"], first["startsAt"])
    checks.equal("alerts", len(scene.manager.alerts()), 2)
    groups = [group for group in scene.manager.groups() if group["labels"] == {"rule": RULE}]
    checks.equal("groups of the rule", [len(group["alerts"]) for group in groups], [2])
    checks.equal("messages since", scene.receiver.messages[before:], [])
    checks.done("grouped; numbers are renewed without a message")


def check_severity(scene, checks):
    """b's alert becomes critical, which is another alert: a's warning is inhibited. Its end holds at
    once, although Alertmanager's clock has not come to it when it hears of it."""
    begun = scene.alert(scene.b)["startsAt"]
    scene.b.config["alerts"] = alerts_section(B_EXPIRES, RATIO, RATIO)
    scene.b.reload()
    critical = scene.wait_alert(scene.b, severity="critical")
    checks.equal("what is worse began no later", critical["startsAt"], begun)
    scene.wait_end(scene.b)
    wait_for("a's warning to be inhibited", lambda: scene.alert(scene.a)["status"]["inhibitedBy"])
    scene.wait_told("/pager", "firing", RULE, scene.b)
    checks.done("critical: paged, and inhibits the other node's warning")
    scene.b.traffic.on.clear()
    scene.wait_end(scene.b, severity="critical")
    scene.wait_told("/pager", "resolved", RULE, scene.b)
    wait_for("a's warning to count again", lambda: not scene.alert(scene.a)["status"]["inhibitedBy"])
    checks.done("over, by a clock that is ahead")


def check_absence(scene, checks):
    """While Alertmanager is dead, an alert begins, one ends, and one goes on."""
    scene.b.set_clock(0)
    after = len(scene.receiver.messages)
    scene.b.traffic.on.set()
    scene.wait_told("/pager", "firing", RULE, scene.b, after)
    scene.manager.wait_saved()
    after = len(scene.receiver.messages)
    begun = scene.alert(scene.a)["startsAt"]
    scene.manager.kill9()
    scene.b.traffic.on.clear()
    checked("sysctl", "-qw", "net.ipv4.tcp_fastopen=0x203")
    wait_for("b's alert to be over", lambda: RULE not in scene.b.raised())
    raised = wait_for("a's second alert", lambda: scene.a.raised().get(SYSCTL_RULE))
    wait_for("a to miss Alertmanager", scene.a.away)
    scene.manager.start()
    checks.equal("what began meanwhile", unix(scene.wait_alert(scene.a, SYSCTL_RULE, "critical")["startsAt"]),
                 raised["raised_at"])
    checks.equal("what went on", scene.wait_alert(scene.a)["startsAt"], begun)
    scene.wait_told("/pager", "resolved", RULE, scene.b, after)
    checks.equal("what ended", scene.alert(scene.b, severity="critical"), None)
    scene.wait_told("/pager", "firing", SYSCTL_RULE, scene.a, after)
    wait_for("a to have Alertmanager back", lambda: not scene.a.away())
    checks.done("nothing is lost while Alertmanager is dead")


def check_restart(scene, checks):
    """tfod dies and comes again within the time in which its alerts end by themselves."""
    before = {rule: scene.wait_alert(scene.a, rule, severity) for rule, severity in
              ((RULE, "warning"), (SYSCTL_RULE, "critical"))}
    messages = len(scene.receiver.messages)
    scene.a.kill9()
    scene.a.start()
    for rule, old in before.items():
        severity = old["labels"]["severity"]
        new = wait_for(f"{rule} from the new tfod", lambda rule=rule, severity=severity, old=old: (
            one := scene.alert(scene.a, rule, severity)) and one["endsAt"] > old["endsAt"] and one)
        checks.equal(f"{rule}: fingerprint", new["fingerprint"], old["fingerprint"])
        checks.equal(f"{rule}: beginning", new["startsAt"], old["startsAt"])
    checks.equal("what is told of the restart", scene.receiver.messages[messages:], [])
    checks.done("tfod was killed and started: its alerts are as old as before")
    checked("sysctl", "-qw", "net.ipv4.tcp_fastopen=0x3")
    scene.wait_end(scene.a, SYSCTL_RULE, "critical", EXPIRES - 2)
    scene.wait_told("/pager", "resolved", SYSCTL_RULE, scene.a)
    checks.done("what began before it is over")


def check_reflection(scene, checks):
    """Of the kinds that are told by default. SYN-ACKs that nobody asked for come to both nodes."""
    del scene.b.config["alerts"]["alertmanager"]["kinds"]
    scene.b.reload()
    for node in (scene.a, scene.b):
        node.attack.on.set()
    alerts = {node: scene.wait_alert(node, REFLECTION) for node in (scene.a, scene.b)}
    alert = alerts[scene.b]
    checks.equal("labels", alert["labels"], {
        "rule": REFLECTION, "kind": "reflection", "victim": "web", "severity": "warning", "pool": "web",
        "instance": scene.b.instance})
    evidence = json.loads(alert["annotations"]["evidence"])
    checks.equal("who reflects", [row["network"] for row in evidence["top"]["reflectors"]], ["203.0.113.0/24"])
    checks.equal("the victim", [row["address"] for row in evidence["top"]["victims"]], [VIP])
    checks.true("its volume", evidence["volume"]["packets"] >= LEVEL["rate"])
    wait_for("a group of both", lambda: any(
        group["labels"] == {"rule": REFLECTION} and len(group["alerts"]) == 2 for group in scene.manager.groups()))
    scene.wait_told("/network", "firing", REFLECTION, scene.b)
    checks.done("a reflection: told with victim, reflectors and volume, one group of both nodes")
    scene.manager.wait_saved()
    scene.manager.kill9()
    scene.a.attack.on.clear()
    wait_for("a's to be over", lambda: REFLECTION not in scene.a.raised())
    after = len(scene.receiver.messages)
    scene.manager.start()
    checks.equal("b's went on", scene.wait_alert(scene.b, REFLECTION)["startsAt"], alert["startsAt"])
    scene.wait_told("/network", "resolved", REFLECTION, scene.a, after)
    checks.equal("a's ended", scene.alert(scene.a, REFLECTION), None)
    scene.b.attack.on.clear()
    scene.wait_end(scene.b, REFLECTION)
    scene.wait_told("/network", "resolved", REFLECTION, scene.b, after)
    checks.done("one ended while Alertmanager was dead, one afterwards")


def check_death(scene, checks):
    """Nobody says that the alert is over: it ends by itself."""
    scene.wait_alert(scene.a)
    after = len(scene.receiver.messages)
    scene.a.kill9()
    died = time.time()
    scene.wait_end(scene.a, seconds=EXPIRES + 3)
    message = scene.wait_told("/network", "resolved", RULE, scene.a, after)
    ended = unix(message["alerts"][0]["endsAt"])
    checks.true("it ended by itself", died < ended <= died + EXPIRES)
    checks.done("tfod is dead: its alert has ended")


def test(binaries):
    checks = Checks()
    checked("ip", "link", "set", "lo", "up")
    with tempfile.TemporaryDirectory(prefix="tfo-am-") as directory:
        directory = pathlib.Path(directory)
        check_example(directory)
        scene = None
        try:
            scene = Scene(binaries, directory)
            scene.a.start()
            scene.b.start()
            checks.done("all are up")
            check_group(scene, checks, check_first(scene, checks))
            check_severity(scene, checks)
            check_absence(scene, checks)
            check_restart(scene, checks)
            check_reflection(scene, checks)
            check_death(scene, checks)
        except Failed:
            show_logs(directory)
            raise
        finally:
            clean_up(scene, directory)
    return 1 if checks.wrong else 0


def show_logs(directory):
    for log in sorted(directory.glob("**/*.log")):
        print(f"{log.name}:\n" + log.read_text(encoding="utf-8", errors="replace")[-6000:])


def clean_up(scene, directory):
    for process in (scene.a.process, scene.b.process, scene.manager.process) if scene else ():
        if process is not None and process.poll() is None:
            process.kill()
            process.wait()
    for mounted in directory.glob("*/bpf"):
        subprocess.run(["umount", str(mounted)], check=False)


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    if os.geteuid() != 0:
        print("needs root: it makes network namespaces", file=sys.stderr)
        return 77
    own_namespaces.enter()
    try:
        return test(pathlib.Path(sys.argv[1]).resolve())
    except Failed as error:
        print(f"FAILED {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
