# SPDX-License-Identifier: BSD-2-Clause
"""The parts that Grafana's dashboards are made of, and how they stand on the page."""

SCHEMA_VERSION = 39  # of Grafana 10.4 and 11
WIDTH = 24  # columns of a page
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
NODE = 'job=~"$job", instance=~"$instance"'
NODE_OR_NONE = 'job=~"$job|", instance=~"$instance|"'  # what is of all nodes together has no such label
VIP = NODE + ', vip=~"$vip"'
POOL = NODE + ', pool=~"$pool"'
RATE = "$__rate_interval"
GREEN, ORANGE, RED = "green", "orange", "red"
MEAN = ["mean", "max", "lastNotNull"]


def rate(metric, selector=NODE):
    return f"rate({metric}{{{selector}}}[{RATE}])"


def total(expression, *labels):
    """The sum, by labels if there are any."""
    return f"sum by ({', '.join(labels)}) ({expression})" if labels else f"sum({expression})"


def each(expression, *labels, most=False):
    """One line for each of the labels' values: the sum, or the most."""
    how = "max" if most else "sum"
    return [(" ".join(f"{{{{{label}}}}}" for label in labels), f"{how} by ({', '.join(labels)}) ({expression})")]


def runbook(alert, page):
    return {"title": f"Runbook: {alert}", "url": f"${{runbooks}}/{page}.md#{alert.lower()}", "targetBlank": True,
            "type": "link", "icon": "external link", "tags": [], "tooltip": "", "asDropdown": False, "includeVars": False,
            "keepTime": False}


def steps(*levels):
    """Colours from values on: the first is that of everything below."""
    return {"mode": "absolute", "steps": [{"color": colour, "value": value} for value, colour in levels]}


def target(ref, legend, expression, instant):
    return {"refId": ref, "datasource": DATASOURCE, "editorMode": "code", "expr": expression, "legendFormat": legend,
            "instant": instant, "range": not instant}


def panel(kind, title, queries, description, unit, width, height, runbooks=(), instant=False, **field):
    """`queries`: (legend, expression) each; an expression alone has no legend. `runbooks`: (alert, page) each."""
    queries = [("", queries)] if isinstance(queries, str) else queries
    return {
        "type": kind, "title": title, "description": description, "datasource": DATASOURCE,
        "gridPos": {"w": width, "h": height},
        "fieldConfig": {"defaults": {"unit": unit, **field}, "overrides": []},
        "targets": [target(chr(ord("A") + number), legend, expression, instant)
                    for number, (legend, expression) in enumerate(queries)],
        "links": [runbook(alert, page) for alert, page in runbooks],
    }


def number(title, query, description, unit, levels=((None, "blue"),), runbooks=(), decimals=None):
    """A number of now, with its past behind it."""
    made = panel("stat", title, query, description, unit, 4, 4, runbooks, thresholds=steps(*levels),
                 color={"mode": "thresholds"}, **({} if decimals is None else {"decimals": decimals}))
    made["options"] = {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}, "colorMode": "value",
                       "graphMode": "area", "justifyMode": "auto", "textMode": "value", "orientation": "auto"}
    return made


def lines(title, queries, description, unit, runbooks=(), stacked=False, width=12, most=None):
    """Lines over time."""
    custom = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 25 if stacked else 5, "showPoints": "never",
              "stacking": {"mode": "normal" if stacked else "none", "group": "A"}}
    made = panel("timeseries", title, queries, description, unit, width, 8, runbooks, custom=custom,
                 color={"mode": "palette-classic"}, min=0, **({} if most is None else {"max": most}))
    for query in made["targets"]:
        if query["legendFormat"] == LIMIT:
            made["fieldConfig"]["overrides"].append(dashed(LIMIT))
    made["options"] = {"legend": {"displayMode": "table", "placement": "right", "showLegend": True, "calcs": MEAN},
                       "tooltip": {"mode": "multi", "sort": "desc"}}
    return made


LIMIT = "alert above"


def dashed(name):
    """A limit is drawn as one."""
    return {"matcher": {"id": "byName", "options": name}, "properties": [
        {"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [8, 8]}},
        {"id": "color", "value": {"mode": "fixed", "fixedColor": RED}},
        {"id": "custom.fillOpacity", "value": 0}]}


def states(title, queries, description, runbooks=(), width=12):
    """What was so when: 0 and 1 over time."""
    made = panel("state-timeline", title, queries, description, "none", width, 8, runbooks,
                 thresholds=steps((None, "transparent"), (1, "blue")), color={"mode": "thresholds"},
                 mappings=[{"type": "value", "options": {"0": {"text": " "}, "1": {"text": "yes"}}}])
    made["options"] = {"mergeValues": True, "showValue": "never", "rowHeight": 0.8,
                       "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False}}
    return made


def table(title, query, description, columns, runbooks=(), width=12, height=8, unit="none"):
    """Series of now as rows; `columns`: labels that are shown, by their heading."""
    made = panel("table", title, query, description, unit, width, height, runbooks, instant=True,
                 custom={"align": "auto", "filterable": False})
    made["targets"][0]["format"] = "table"
    hidden = {"Time": True, "__name__": True, "job": True}
    made["transformations"] = [{"id": "organize", "options": {
        "excludeByName": hidden | ({} if "Value" in columns else {"Value": True}), "renameByName": columns,
        "indexByName": {label: at for at, label in enumerate(columns)}}}]
    made["options"] = {"showHeader": True, "cellHeight": "sm"}
    return made


def row(title):
    return {"type": "row", "title": title, "collapsed": False, "gridPos": {"w": WIDTH, "h": 1}, "panels": []}


def placed(panels):
    """From left to right, a new line where there is no room or a row begins; with numbers."""
    x = y = height = 0
    for at, one in enumerate(panels, 1):
        place = one["gridPos"]
        if x + place["w"] > WIDTH:
            x, y, height = 0, y + height, 0
        one["id"] = at
        one["gridPos"] = {"x": x, "y": y, **place}
        x, height = x + place["w"], max(height, place["h"])
    return panels
