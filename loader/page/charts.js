// SPDX-License-Identifier: BSD-2-Clause
// Lines over the last ten minutes (Chart.js), each chart with its numbers as text and as a table.
import {el, fill, find, table} from "./dom.js";
import {SPAN} from "./series.js";
import {rate} from "./words.js";

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

function axis(seconds) {
  if (seconds === 0) return "now";
  return seconds % 60 === 0 ? `${seconds / 60} min` : `${seconds} s`;
}

function options(stacked) {
  return {
    animation: false,
    responsive: true,
    maintainAspectRatio: false,
    parsing: false,
    normalized: true,
    spanGaps: false,
    interaction: {mode: "index", intersect: false},
    elements: {point: {radius: 0, hitRadius: 8}, line: {borderWidth: 1.5}},
    plugins: {
      legend: {display: false},
      tooltip: {callbacks: {
        title: (items) => (items.length ? `${Math.round(-items[0].parsed.x)} s ago` : ""),
        label: (item) => ` ${item.dataset.label}: ${rate(item.raw.y ?? 0)}/s`,
      }},
    },
    scales: {
      x: {type: "linear", min: -SPAN, max: 0, ticks: {callback: axis, maxRotation: 0}, grid: {}},
      y: {type: "linear", beginAtZero: true, suggestedMax: 1, stacked, ticks: {maxTicksLimit: 6}, grid: {}},
    },
  };
}

/** id: a figure. lines: [{label, colour, value}], stacked in this order from the bottom. */
export class LineChart {
  constructor(id, title, lines, stacked) {
    Object.assign(this, {title, lines, id});
    this.canvas = el("canvas", {role: "img", ariaLabel: title});
    this.legend = el("ul", {class: "legend"});
    this.numbers = el("div");
    find(id).append(el("div", {class: "chart"}, this.canvas), this.legend,
      el("details", {}, el("summary", {}, "As a table"), this.numbers));
    this.chart = new window.Chart(this.canvas, {
      type: "line",
      data: {datasets: lines.map((line) => ({label: line.label, data: [], fill: stacked ? "stack" : "origin"}))},
      options: options(stacked),
    });
    this.paint();
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.paint();
      this.chart.update("none");
    });
  }

  paint() {
    this.lines.forEach((line, at) => {
      const set = this.chart.data.datasets[at];
      set.borderColor = colour(line.colour);
      set.backgroundColor = colour(line.colour) + (set.fill === "stack" ? "b0" : "38");
    });
    for (const scale of Object.values(this.chart.options.scales)) {
      scale.ticks.color = colour("soft");
      scale.grid.color = colour("grid");
    }
  }

  draw(series, now) {
    const data = this.lines.map((line) => series.line(now, line.value));
    data.forEach((points, at) => { this.chart.data.datasets[at].data = points; });
    const {x} = this.chart.options.scales;
    x.min = -series.span();
    x.ticks.stepSize = series.span() / 6;
    this.chart.update("none");
    const latest = data.map((points) => points.at(-1)?.y ?? 0);
    const most = data.map((points) => Math.max(0, ...points.map((point) => point.y ?? 0)));
    fill(this.legend, this.lines.map((line, at) => el("li", {},
      el("span", {class: "swatch", dataColour: line.colour}), el("span", {}, line.label), el("b", {}, `${rate(latest[at])}/s`))));
    this.canvas.setAttribute("aria-label", `${this.title}, the last ten minutes. ` + this.lines.map((line, at) =>
      `${line.label}: ${rate(latest[at])} a second now, at most ${rate(most[at])}.`).join(" "));
    if (this.numbers.parentNode.open || !this.numbers.firstChild) this.tabulate(data);
  }

  /** Means of each minute. */
  tabulate(data) {
    const rows = [];
    for (let minute = 0; minute < SPAN / 60; minute++) {
      const within = (point) => point.y !== null && point.x <= -60 * minute && point.x > -60 * (minute + 1);
      const means = data.map((points) => points.filter(within).map((point) => point.y));
      if (means[0].length === 0) continue;
      rows.push([minute === 0 ? "the last minute" : `${minute} min before`,
        ...means.map((all) => rate(all.reduce((sum, one) => sum + one, 0) / all.length))]);
    }
    fill(this.numbers, [table(`${this.title}: means of each minute, a second`,
      [["Minute", ""], ...this.lines.map((line) => [line.label, "number"])], rows)]);
  }
}
