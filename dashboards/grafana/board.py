# SPDX-License-Identifier: BSD-2-Clause
"""What all dashboards have in common: variables, annotations, links to each other."""
from panels import DATASOURCE, NODE, NODE_OR_NONE, RATE, SCHEMA_VERSION, placed

TAG = "tfoguard"


def choice(name, label, query, several=True):
    """A variable with the values of a label."""
    return {
        "name": name, "label": label, "type": "query", "datasource": DATASOURCE, "definition": query,
        "query": {"query": query, "refId": f"variable-{name}"}, "refresh": 2, "sort": 1, "hide": 0,
        "multi": several, "includeAll": several, "regex": "",
        "options": [],
        **({"current": {"text": ["All"], "value": ["$__all"]}} if several else {}),
    }


def variables(more):
    return [
        {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "refresh": 1,
         "hide": 0, "multi": False, "includeAll": False, "options": [], "regex": ""},
        choice("job", "Job", "label_values(tfo_build_info, job)"),
        choice("instance", "Node", 'label_values(tfo_build_info{job=~"$job"}, instance)'),
        choice("vip", "VIP", f'label_values(tfo_actions_total{{{NODE}, vip!=""}}, vip)'),
        *more,
        {"name": "runbooks", "label": "Runbooks at", "type": "textbox", "query": "dashboards/runbooks", "hide": 2,
         "current": {"text": "dashboards/runbooks", "value": "dashboards/runbooks"}, "options": []},
    ]


def pools():
    return choice("pool", "Pool", f"label_values(tfo_key_generations{{{NODE}}}, pool)")


def annotation(name, expression, title, text, colour):
    return {"name": name, "datasource": DATASOURCE, "enable": True, "hide": False, "iconColor": colour,
            "expr": expression, "step": "15s", "titleFormat": title, "textFormat": text, "useValueForTime": False}


def annotations():
    """A key's age falls when another takes its place: a rotation, a revocation or an import."""
    return [
        annotation("Key changes", f'resets(tfo_key_age_seconds{{{NODE}, place="current"}}[{RATE}]) > 0',
                   "New key of pool {{pool}}", "{{instance}}", "purple"),
        annotation("Alerts", f'ALERTS{{{NODE_OR_NONE}, alertname=~"Tfo.+", alertstate="firing", severity!="info"}}',
                   "{{alertname}}", "{{severity}} on {{instance}}", "red"),
    ]


def dashboard(uid, title, description, panels, more=()):
    """`more`: variables beyond those that all have."""
    return {
        "uid": f"{TAG}-{uid}", "title": f"tfoguard: {title}", "description": description, "tags": [TAG],
        "schemaVersion": SCHEMA_VERSION, "version": 1, "editable": True, "graphTooltip": 1, "liveNow": False,
        "refresh": "30s", "timezone": "browser", "weekStart": "", "time": {"from": "now-6h", "to": "now"},
        "timepicker": {}, "fiscalYearStartMonth": 0, "id": None,
        "links": [{"title": "tfoguard", "type": "dashboards", "tags": [TAG], "asDropdown": True, "includeVars": True,
                   "keepTime": True, "targetBlank": False, "icon": "external link", "tooltip": "", "url": ""}],
        "templating": {"list": variables(more)},
        "annotations": {"list": annotations()},
        "panels": placed(panels),
    }
