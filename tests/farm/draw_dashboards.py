# SPDX-License-Identifier: BSD-2-Clause
"""Pictures of the dashboards, each panel with what Prometheus answers to its queries: Grafana's server is no
Debian package. The layout is the dashboard's; colours and fonts are not Grafana's. For dashboards_test.py."""
import math
import pathlib
import re

import expressions
import matplotlib
from PIL import Image  # python3-pil, which matplotlib needs itself

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

PAGE, PANEL, TEXT, FAINT = "#111217", "#1a1c22", "#d8d9da", "#8e8e8e"
COLOURS = ("#73bf69", "#f2cc0c", "#5794f2", "#ff780a", "#f2495c", "#b877d9", "#37872d", "#e0b400", "#1f60c4", "#fa6400",
           "#c4162a", "#8f3bb8")
NAMED = {"green": "#73bf69", "orange": "#ff9830", "red": "#f2495c", "blue": "#5794f2", "transparent": PANEL}
WIDTH, ROW = 15.0, 0.32  # inches: of a page, of a row of the grid
COLUMNS = 24
DPI = 90
LEGENDS = 8  # lines that are named
PALETTE = 64  # colours of a file


def prefixed(value, unit, base=1000):
    for prefix in ("", "k", "M", "G"):
        if abs(value) < base:
            break
        value /= base
        prefix = {"": "k", "k": "M", "M": "G", "G": "T"}[prefix]
    return f"{value:.3g} {prefix}{unit}".strip()


def duration(value):
    for length, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if abs(value) >= length:
            return f"{value / length:.3g} {unit}"
    return f"{value * 1e9:.3g} ns" if value else "0 s"


def worded(value, unit):
    """As Grafana writes it."""
    if not math.isfinite(value):
        return "–" if math.isnan(value) else "+Inf"
    return {"percentunit": lambda: f"{value * 100:.3g} %", "s": lambda: duration(value),
            "bytes": lambda: prefixed(value, "iB", 1024), "bps": lambda: prefixed(value, "b/s"),
            "pps": lambda: prefixed(value, "p/s"), "cps": lambda: prefixed(value, "c/s")}.get(
                unit, lambda: prefixed(value, ""))()


def whole(points):
    """With something that is no number where there was none, so that no line is drawn there."""
    made = points[:1]
    for one in points[1:]:
        if one[0] - made[-1][0] > 1.5:
            made.append((made[-1][0] + 1, float("nan")))
        made.append(one)
    return made


class Page:
    """One dashboard's picture."""

    def __init__(self, site, times, dashboard):
        self.site, self.dashboard = site, dashboard
        self.start, self.end = times
        self.height = max(one["gridPos"]["y"] + one["gridPos"]["h"] for one in dashboard["panels"]) + 1
        self.figure = pyplot.figure(figsize=(WIDTH, self.height * ROW), dpi=DPI, facecolor=PAGE)
        self.figure.text(0.006, 1 - 0.62 / self.height, dashboard["title"], color=TEXT, fontsize=14, va="center")
        self.changes = {at - self.start for one in self.ask(dashboard["annotations"]["list"][0]["expr"])
                        for at, _ in one.points}

    def ask(self, expression):
        return self.site.history(expressions.filled(expression), self.start, self.end)

    def series(self, panel):
        """(name, points) of all of its queries, most first."""
        found = [(self.named(query["legendFormat"], one.labels), one.points)
                 for query in panel["targets"] for one in self.ask(query["expr"])]
        return sorted(found, key=lambda one: -max((value for _, value in one[1] if value == value), default=0))

    def named(self, legend, labels):
        """Without the name of the farm, which is a number."""
        text = re.sub(r"\{\{(\w+)\}\}", lambda match: labels.get(match[1], ""), legend)
        return (text or "value").replace(f"tfo-{self.site.farm.name}-", "")

    def axes(self, place, pad=(0.0, 0.0, 0.0, 0.0)):
        """In a panel, less so many inches on its left, right, bottom and top."""
        left, right, bottom, top = pad
        x, width = place["x"] * WIDTH / COLUMNS, place["w"] * WIDTH / COLUMNS
        y, height = (self.height - 1 - place["y"] - place["h"]) * ROW, place["h"] * ROW
        return self.figure.add_axes(((x + left) / WIDTH, (y + bottom) / (self.height * ROW),
                                     (width - left - right) / WIDTH, (height - bottom - top) / (self.height * ROW)))

    def frame(self, panel):
        axes = self.axes(panel["gridPos"], (0.04, 0.04, 0.04, 0.04))
        axes.set_facecolor(PANEL)
        axes.set(xticks=[], yticks=[])
        for spine in axes.spines.values():
            spine.set_visible(False)
        height = panel["gridPos"]["h"] * ROW - 0.08
        axes.text(0.012, 1 - 0.14 / height, panel["title"], color=TEXT, fontsize=8.5, va="center",
                  transform=axes.transAxes)
        return axes

    def plot(self, panel, left, right):
        """Axes for something over time."""
        axes = self.axes(panel["gridPos"], (left, right, 0.32, 0.36))
        axes.set_facecolor(PANEL)
        axes.tick_params(colors=FAINT, labelsize=7, length=0)
        axes.set_xlim(0, self.end - self.start)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0f} s")
        for spine in axes.spines.values():
            spine.set_visible(False)
        for at in self.changes:
            axes.axvspan(at, at + 1, color="#b877d9", linewidth=0, alpha=0.15)
        return axes

    def row(self, panel):
        axes = self.axes(panel["gridPos"])
        axes.axis("off")
        axes.text(0.004, 0.4, panel["title"], color=TEXT, fontsize=10, fontweight="bold", va="center")

    def stat(self, panel):
        axes, series = self.frame(panel), self.series(panel)
        last = series[0][1][-1][1] if series else float("nan")
        field = panel["fieldConfig"]["defaults"]
        colour = [step["color"] for step in field["thresholds"]["steps"]
                  if step["value"] is None or last >= step["value"]][-1:] or ["blue"]
        shown = f"{last:.0f}" if (field.get("decimals"), field["unit"]) == (0, "none") else worded(last, field["unit"])
        axes.text(0.5, 0.52, shown, color=NAMED[colour[0]], fontsize=19, ha="center",
                  va="center", transform=axes.transAxes)
        past = self.axes(panel["gridPos"], (0.06, 0.06, 0.06, 0.9))
        past.axis("off")
        if series:
            past.fill_between(*zip(*series[0][1]), color=NAMED[colour[0]], alpha=0.35, linewidth=0)

    def timeseries(self, panel):
        self.frame(panel)
        field, series = panel["fieldConfig"]["defaults"], self.series(panel)
        axes = self.plot(panel, 0.75, 2.1)
        axes.grid(color="#2c2e33", linewidth=0.6)
        axes.yaxis.set_major_formatter(lambda value, _: worded(value, field["unit"]))
        times = sorted({at for _, points in series for at, _ in points})
        below = dict.fromkeys(times, 0.0)
        stacked = field["custom"]["stacking"]["mode"] == "normal"
        for number, (name, points) in enumerate(series):
            colour, limit = COLOURS[number % len(COLOURS)], name == "alert above"
            points = whole(points)
            at, values = [one[0] - self.start for one in points], [one[1] for one in points]
            if stacked:
                floor = [below.get(one, 0) for one, _ in points]
                values = [value + under for value, under in zip(values, floor)]
                axes.fill_between(at, floor, values, color=colour, alpha=0.35, linewidth=0)
                below.update(zip((one for one, _ in points), values))
            axes.plot(at, values, color=NAMED["red"] if limit else colour, linewidth=1.1,
                      linestyle="--" if limit else "-", label=self.legend(name, points, field["unit"]))
        axes.set_ylim(bottom=0)
        if not any(value for _, points in series for _, value in points):
            axes.set_ylim(top=1)
        self.name_lines(axes, len(series))

    @staticmethod
    def legend(name, points, unit):
        most = max((value for _, value in points if value == value), default=float("nan"))
        return f"{name[:30]}   {worded(most, unit)}"

    @staticmethod
    def name_lines(axes, count):
        handles, labels = axes.get_legend_handles_labels()
        if count > LEGENDS:
            labels[LEGENDS - 1] = f"and {count - LEGENDS + 1} more"
        axes.legend(handles[:LEGENDS], labels[:LEGENDS], loc="upper left", bbox_to_anchor=(1.01, 1.04), fontsize=7,
                    frameon=False, labelcolor=TEXT, handlelength=1.2, title="most within the time shown",
                    title_fontproperties={"size": 6}, alignment="left").get_title().set_color(FAINT)

    def state_timeline(self, panel):
        self.frame(panel)
        axes, series = self.plot(panel, 1.6, 0.2), self.series(panel)
        shown = [one for one in series if any(value > 0 for _, value in one[1])] or series[:1]
        for number, (_, points) in enumerate(shown):
            bars = [(at - self.start, 1) for at, value in points if value > 0]
            axes.broken_barh(bars, (number - 0.35, 0.7), color=COLOURS[number % len(COLOURS)])
        axes.set(ylim=(-0.6, max(len(shown), 3) - 0.4))
        axes.set_yticks(range(len(shown)), [name for name, _ in shown], color=TEXT, fontsize=7)

    def table(self, panel):
        axes = self.frame(panel)
        rename = panel["transformations"][0]["options"]["renameByName"]
        rows = [[one.labels.get(label, worded(one.points[-1][1], "none") if label == "Value" else "")
                 for label in rename] for one in self.ask(panel["targets"][0]["expr"])]
        for line, cells in enumerate([list(rename.values()), *rows[:8]]):
            for column, cell in enumerate(cells):
                axes.text(0.02 + column * 0.96 / len(cells), 0.82 - 0.095 * line, cell[:34], fontsize=8,
                          color=TEXT if line else FAINT, transform=axes.transAxes, va="center")

    def save(self, file):
        for panel in self.dashboard["panels"]:
            getattr(self, panel["type"].replace("-", "_"))(panel)
        self.figure.savefig(file, facecolor=PAGE)
        pyplot.close(self.figure)
        with Image.open(file) as picture:
            small = picture.convert("RGB").quantize(PALETTE, dither=Image.Dither.NONE)
        small.save(file, optimize=True)


def draw(site, times, directory):
    """Into PNG files, one for each dashboard."""
    pathlib.Path(directory).mkdir(parents=True, exist_ok=True)
    for name, dashboard in expressions.dashboards().items():
        Page(site, times, dashboard).save(pathlib.Path(directory) / f"{name}.png")
