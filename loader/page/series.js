// SPDX-License-Identifier: BSD-2-Clause
// The last ten minutes, point by point: tfod keeps them, each answer brings the newest.
export const SPAN = 600; // seconds
const SPANS = [60, 120, 300, SPAN]; // what a chart shows: the least that holds all
const GAP = 8; // so long without a point nothing is drawn

export class Series {
  constructor() {
    this.points = []; // objects by field, oldest first
  }

  last() {
    return this.points.length ? this.points[this.points.length - 1].number : 0;
  }

  /** Takes what is new of {fields, points}. False: points are missing in between, or tfod began anew. */
  add({fields, points}) {
    const rows = points.map((row) => Object.fromEntries(fields.map((name, at) => [name, row[at]])));
    const newest = rows.length ? rows[rows.length - 1].number : 0;
    if (newest < this.last()) return false;
    const fresh = rows.filter((one) => one.number > this.last());
    if (fresh.length && this.last() && fresh[0].number !== this.last() + 1) return false;
    this.points = [...this.points, ...fresh].filter((one) => one.at > (fresh.at(-1) ?? one).at - SPAN - GAP);
    return true;
  }

  replace(history) {
    this.points = [];
    this.add(history);
  }

  span() {
    const age = this.points.length ? this.points.at(-1).at - this.points[0].at : 0;
    return SPANS.find((span) => age < span) ?? SPAN;
  }

  /** [{x: seconds before `now`, negative, y}]; null for y where there was no reading. */
  line(now, value) {
    const out = [];
    let before = null;
    for (const point of this.points) {
      const x = point.at - now;
      if (before !== null && point.at - before > GAP) out.push({x: x - point.seconds, y: null});
      before = point.at;
      if (x >= -SPAN) out.push({x, y: value(point)});
    }
    return out;
  }
}

/** A field's count a second. */
export const perSecond = (...names) => (point) => names.reduce((sum, name) => sum + point[name], 0) / point.seconds;
