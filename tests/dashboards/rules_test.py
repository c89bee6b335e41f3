#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The rules for Prometheus: promtool's own tests and lint, what all alerts must have, and that they leave out
nothing that tfod can find wrong. Needs promtool (package prometheus) and python3-yaml."""
import collections
import re
import subprocess
import unittest

import yaml
from expressions import ROOT, RULES, exported, known, metrics, rules

PROMETHEUS = ROOT / "dashboards/prometheus"
RUNBOOKS = ROOT / "dashboards/runbooks"
CONDITIONS = ROOT / "loader/observe/conditions.cpp"
TESTS = sorted((PROMETHEUS / "tests").glob("*.yml"))
# Told of by what it counts: TfoPrefixGuardActive.
BY_NUMBER = {"guard_active"}
PARTS = ("**Means:**", "**Check:**", "**Do:**")
ALERTS = [rule for rule in rules() if "alert" in rule]


def promtool(*arguments):
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def sections(page):
    """A runbook's text by its headings' anchors."""
    parts = re.split(r"^## (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {heading.strip().lower(): text for heading, text in zip(parts[::2], parts[1::2])}


def condition_ids():
    return re.findall(r'\{"([a-z_]+)", Severity::', CONDITIONS.read_text(encoding="utf-8"))


class Promtool(unittest.TestCase):
    def test_syntax_and_lint(self):
        code, said = promtool("check", "rules", "--lint=all", *RULES)
        self.assertEqual((code, "lint" in said), (0, False), said)

    def test_example(self):
        code, said = promtool("check", "config", PROMETHEUS / "prometheus.yml")
        self.assertEqual(code, 0, said)

    def test_cases(self):
        for file in TESTS:
            with self.subTest(file.name):
                code, said = promtool("test", "rules", file)
                self.assertEqual(code, 0, said)

    def test_each_alert_has_cases(self):
        seen = collections.defaultdict(set)
        for file in TESTS:
            for one in yaml.safe_load(file.read_text(encoding="utf-8"))["tests"]:
                for case in one["alert_rule_test"]:
                    seen[case["alertname"]].add(bool(case["exp_alerts"]))
        self.assertEqual(dict(seen), {rule["alert"]: {True, False} for rule in ALERTS})


class Alerts(unittest.TestCase):
    def test_form(self):
        for rule in ALERTS:
            with self.subTest(rule["alert"]):
                self.assertRegex(rule["alert"], r"^Tfo([A-Z][a-z]+)+$")
                self.assertEqual(set(rule["labels"]), {"severity"})
                self.assertIn(rule["labels"]["severity"], ("critical", "warning", "info"))
                notes = rule["annotations"]
                self.assertEqual(set(notes), {"summary", "description", "runbook_url"})
                self.assertNotIn("{{", notes["summary"])
                self.assertRegex(notes["description"], r"\.(\{\{ end \}\})?$")
                self.assertNotRegex(notes["description"], r"\$value \}\}", "a number that nobody can read")

    def test_names_are_unique(self):
        names = collections.Counter(rule.get("alert") or rule["record"] for rule in rules())
        self.assertEqual([name for name, count in names.items() if count > 1], [])

    def test_runbooks(self):
        wanted = {}
        for rule in ALERTS:
            url = rule["annotations"]["runbook_url"]
            with self.subTest(rule["alert"]):
                file, _, anchor = url.partition("#")
                self.assertEqual(anchor, rule["alert"].lower())
                wanted.setdefault(ROOT / file, set()).add(anchor)
                text = sections(ROOT / file).get(anchor)
                self.assertIsNotNone(text, f"{url} does not exist")
                self.assertEqual([part for part in PARTS if part not in text], [])
        self.assertEqual({page: set(sections(page)) for page in RUNBOOKS.glob("*.md")}, wanted, "sections of no alert")

    def test_links_between_runbooks(self):
        for page in RUNBOOKS.glob("*.md"):
            for file, anchor in re.findall(r"\]\(([a-z]*(?:\.md)?)#([a-z0-9]+)\)", page.read_text(encoding="utf-8")):
                self.assertIn(anchor, sections(RUNBOOKS / file if file else page), f"{page.name}: {file}#{anchor}")

    def test_metrics_in_runbooks(self):
        for page in RUNBOOKS.glob("*.md"):
            named = set(re.findall(r"[a-z]*:?tfo[_:][a-z0-9_:]+", page.read_text(encoding="utf-8")))
            self.assertEqual(named - known(), set(), page.name)

    def test_every_condition_is_told_of_once(self):
        told = collections.Counter()
        for rule in ALERTS:
            for operator, text in re.findall(r'tfo_condition_active\{condition(=~?)"([^"]+)"', rule["expr"]):
                told.update(text.split("|") if operator == "=~" else [text])
        self.assertEqual(dict(told), dict.fromkeys(set(condition_ids()) - BY_NUMBER, 1))


class Thresholds(unittest.TestCase):
    def test_alerts_have_no_numbers(self):
        for rule in ALERTS:
            bare = re.sub(r"\[[^]]*\]|\"[^\"]*\"", "", rule["expr"])
            self.assertEqual(re.findall(r"[<>=]\s*(\d[\d.]*)", bare.replace("> 0", "").replace("== 0", "")
                                        .replace("== 1", "")), [], f"{rule['alert']}: belongs into thresholds.yml")

    def test_each_is_used(self):
        used = set().union(*(metrics(rule["expr"]) for rule in ALERTS))
        for rule in rules():
            if rule["file"] == "thresholds.yml":
                self.assertRegex(rule["record"], r"^tfo:\w+:threshold$")
                self.assertIn(rule["record"], used)

    def test_recorded_names(self):
        for rule in rules():
            if "record" in rule:
                self.assertRegex(rule["record"], r"^[a-z]+:[a-z0-9_]+:[a-z0-9_]+$")


class Metrics(unittest.TestCase):
    def test_are_exported(self):
        names = known()
        for rule in rules():
            self.assertEqual(metrics(rule["expr"]) - names, set(), rule.get("alert") or rule["record"])

    def test_each_threshold_is_missed(self):
        """TfoRulesIncomplete asks for all of them."""
        records = {rule["record"] for rule in rules() if rule["file"] == "thresholds.yml"}
        asked = next(rule["expr"] for rule in rules() if rule.get("alert") == "TfoRulesIncomplete")
        self.assertEqual(metrics(asked) - {"tfo_build_info", "instance:tfo_posts_reflection:bool"}, records)

    def test_nobody_is_told_twice(self):
        """Conditions that tfod posts by itself are left to it: the kinds guard and reflection."""
        posted = re.findall(r'state\("(\w+)", "guard"', (ROOT / "loader/alert/rules.cpp").read_text())
        self.assertTrue(posted)
        for rule in rules():
            if any(f'condition="{name}"' in rule["expr"] for name in posted):
                self.assertIn("instance:tfo_posts_guard:bool == 0", rule["expr"], rule.get("alert"))


if __name__ == "__main__":
    unittest.main()
