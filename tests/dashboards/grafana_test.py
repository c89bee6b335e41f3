#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Grafana's dashboards as text: that they are what their generator makes, and what Grafana and its users expect
of them. Whether expressions give data is seen in the farm. Needs python3-yaml."""
import itertools
import json
import re
import subprocess
import unittest

from expressions import GRAFANA, ROOT, VARIABLE, dashboards, known, metrics, panel_queries, panels, variable_queries
from rules_test import sections

DASHBOARDS = dashboards()
SCHEMA_VERSION = 39
COLUMNS = 24
UNITS = {"none", "short", "percentunit", "s", "bytes", "bps", "pps", "cps"}  # of Grafana
BUILT_IN = {"__rate_interval", "__range"}
KINDS = {"stat", "timeseries", "table", "state-timeline"}


def overlap(one, other):
    return (one["x"] < other["x"] + other["w"] and other["x"] < one["x"] + one["w"]
            and one["y"] < other["y"] + other["h"] and other["y"] < one["y"] + one["h"])


def datasources(part):
    """Every value of a "datasource" in it, however deep."""
    if isinstance(part, dict):
        if "datasource" in part:
            yield part["datasource"]
        part = part.values()
    if not isinstance(part, (str, int, float, bool, type(None))):
        for one in part:
            yield from datasources(one)


class Grafana(unittest.TestCase):
    def test_generated(self):
        done = subprocess.run([GRAFANA / "generate", "--check"], capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_dashboards(self):
        self.assertEqual(set(DASHBOARDS), {"overview", "keys", "guard", "reflection"})
        for field in ("uid", "title"):
            self.assertEqual(len({one[field] for one in DASHBOARDS.values()}), len(DASHBOARDS))
        for one in DASHBOARDS.values():
            self.assertEqual((one["schemaVersion"], one["tags"], one["id"]), (SCHEMA_VERSION, ["tfoguard"], None))
            self.assertTrue(one["description"])

    def test_panels_have_their_own_numbers_and_names(self):
        for dashboard in DASHBOARDS.values():
            for field in ("id", "title"):
                values = [one[field] for one in dashboard["panels"]]
                self.assertEqual(sorted(set(values)), sorted(values), f"{dashboard['title']}: {field} twice")
            for one in panels(dashboard):
                refs = [target["refId"] for target in one["targets"]]
                self.assertEqual(len(set(refs)), len(refs))

    def test_places(self):
        for dashboard in DASHBOARDS.values():
            places = [(one["title"], one["gridPos"]) for one in dashboard["panels"]]
            for title, place in places:
                self.assertTrue(0 <= place["x"] and place["x"] + place["w"] <= COLUMNS and place["h"] > 0, title)
            for (first, one), (second, other) in itertools.combinations(places, 2):
                self.assertFalse(overlap(one, other), f"{first} lies on {second}")

    def test_panels_say_what_they_show(self):
        for dashboard in DASHBOARDS.values():
            for one in panels(dashboard):
                self.assertIn(one["type"], KINDS)
                self.assertRegex(one["description"], r"\.$", one["title"])
                self.assertIn(one["fieldConfig"]["defaults"]["unit"], UNITS, one["title"])
                names = [target["legendFormat"] for target in one["targets"]]
                self.assertTrue(len(names) == 1 or all(names), f"{one['title']}: lines without a name")

    def test_no_datasource_is_fixed(self):
        for dashboard in DASHBOARDS.values():
            for one in datasources(dashboard):
                self.assertEqual(one, {"type": "prometheus", "uid": "${datasource}"})

    def test_variables(self):
        for dashboard in DASHBOARDS.values():
            names = [one["name"] for one in dashboard["templating"]["list"]]
            self.assertEqual(names[:4], ["datasource", "job", "instance", "vip"])
            for one in dashboard["templating"]["list"]:  # "All" are those of tfod, not all that Prometheus has
                self.assertIsNone(one.get("allValue"), one["name"])
            used = set(VARIABLE.findall(json.dumps(dashboard))) - BUILT_IN - {"__all"}
            self.assertEqual(used - set(names), set(), "variables that are not there")
            self.assertEqual(set(names) - used - {"datasource", "runbooks", "vip"}, set(), "variables of no use")

    def test_expressions(self):
        names = known()
        for dashboard in DASHBOARDS.values():
            queries = [(one.place, one.expression) for one in panel_queries(dashboard)]
            queries += [(place, series) for place, series, _ in variable_queries(dashboard)]
            for place, expression in queries:
                self.assertEqual(metrics(expression) - names, set(), f"{place}: tfod exports no such metric")
                self.assertNotIn("vector(0)", expression, f"{place} hides that there is no data")
                if not re.fullmatch(r"tfo:\w+:threshold", expression) and ", variable " not in place:
                    self.assertRegex(expression, r'job=~"\$job\|?"', place)

    def test_links_to_runbooks(self):
        for dashboard in DASHBOARDS.values():
            links = [link["url"] for one in panels(dashboard) for link in one["links"]]
            self.assertTrue(links)
            for url in links:
                file, anchor = re.fullmatch(r"\$\{runbooks\}/(\w+\.md)#(\w+)", url).groups()
                self.assertIn(anchor, sections(ROOT / "dashboards/runbooks" / file), url)

    def test_rotations_are_annotated(self):
        for dashboard in DASHBOARDS.values():
            self.assertIn("tfo_key_age_seconds", dashboard["annotations"]["list"][0]["expr"])


if __name__ == "__main__":
    unittest.main()
