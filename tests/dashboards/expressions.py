# SPDX-License-Identifier: BSD-2-Clause
"""What stands in the dashboards and rules, for the tests that read it and those that run it."""
import collections
import json
import pathlib
import re

import yaml  # python3-yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
GRAFANA = ROOT / "dashboards/grafana"
RULES = sorted((ROOT / "dashboards/prometheus/rules").glob("*.yml"))

# A query: where it stands, its legend, the expression.
Query = collections.namedtuple("Query", "place legend expression")
VALUES = {"job": "tfod", "instance": ".+", "vip": ".+", "pool": ".+", "__rate_interval": "4s", "__range": "60s"}
# Grafana's own variables and those of dashboards, as $name.
VARIABLE = re.compile(r"\$(\w+)")
# Words of PromQL that look like a metric's name.
WORDS = {"by", "without", "on", "ignoring", "group_left", "group_right", "and", "or", "unless", "bool", "offset", "Inf"}
COMPARISON = re.compile(r"(?<![=!~<>])(==|!=|>=|<=|>|<)(?![=~])")


def dashboards():
    """By name, as they are in the repository."""
    return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in sorted(GRAFANA.glob("*.json"))}


def panels(dashboard):
    return [one for one in dashboard["panels"] if one["type"] != "row"]


def panel_queries(dashboard):
    """Of one dashboard: its panels' and its annotations'."""
    title = dashboard["title"]
    for one in panels(dashboard):
        for query in one["targets"]:
            yield Query(f"{title}, panel \"{one['title']}\" {query['refId']}", query["legendFormat"], query["expr"])
    for one in dashboard["annotations"]["list"]:
        yield Query(f"{title}, annotation \"{one['name']}\"", "", one["expr"])


def variable_queries(dashboard):
    """Grafana asks for a label of a series: (place, series, label)."""
    for one in dashboard["templating"]["list"]:
        if one["type"] == "query":
            series, label = re.fullmatch(r"label_values\((.*), (\w+)\)", one["query"]["query"]).groups()
            yield f"{dashboard['title']}, variable {one['name']}", series, label


def rules():
    """Every rule there is, with its file's name as "file"."""
    for file in RULES:
        for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]:
            for rule in group["rules"]:
                yield rule | {"file": file.name, "expr": str(rule["expr"])}


def filled(expression):
    """With values for its variables."""
    return VARIABLE.sub(lambda match: VALUES[match[1]], expression)


def split(expression):
    """Parts of it in turn outside and inside of quotes."""
    return re.split(r'("[^"]*")', expression)


def answering(expression):
    """The same with every comparison outside of braces as 0 or 1: it has an answer whether true or not."""
    parts, depth = [], 0
    for part in re.split(r'("[^"]*"|[{}])', expression):
        depth += {"{": 1, "}": -1}.get(part, 0)
        parts.append(part if depth or part[:1] == '"' else COMPARISON.sub(r"\1 bool", part))
    return "".join(parts).replace("bool bool", "bool")


def metrics(expression):
    """The names of the metrics in it."""
    text = "".join(part for number, part in enumerate(split(filled(expression))) if number % 2 == 0)
    text = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", " ", text)
    text = re.sub(r"\{[^}]*\}", " ", re.sub(r"\[[^\]]*\]", " ", text))
    names = re.findall(r"(?<![\w:.])([a-zA-Z_:][\w:]*)(?!\w)(\s*\()?", text)
    return {name for name, called in names if not called and name not in WORDS}


def exported():
    """The names of the metrics that tfod exports, as they stand in its sources."""
    observe = "\n".join(file.read_text(encoding="utf-8") for file in sorted((ROOT / "loader").rglob("*.cpp")))
    names = set(re.findall(r'"((?:tfo|process)_[a-z0-9_]*[a-z0-9])"', observe))
    kernel = (ROOT / "loader/observe/kernel_mib.cpp").read_text(encoding="utf-8")
    names |= {f"tfo_kernel_{name}_total" for name in re.findall(r'\{"[A-Za-z]+",\s*"([a-z_]+)",', kernel)}
    return names | {f"{name}_{part}" for name in names for part in ("bucket", "sum", "count")}


def known():
    """What an expression may name: those, what rules record, and what Prometheus makes of its own."""
    return exported() | {rule["record"] for rule in rules() if "record" in rule} | {"up", "ALERTS"}
