// SPDX-License-Identifier: BSD-2-Clause
// Numbers and times as people say them.
const whole = new Intl.NumberFormat("en", {maximumFractionDigits: 0});
const short = new Intl.NumberFormat("en", {notation: "compact", maximumSignificantDigits: 4});

export const count = (number) => (number === null || number === undefined ? "–" : whole.format(number));
export const compact = (number) => (number < 100000 ? count(number) : short.format(number));

/** "0", "0.4", "12", "1,204" a second. */
export function rate(number) {
  if (number === 0) return "0";
  if (number < 0.1) return "<0.1";
  return number < 10 ? number.toFixed(1) : compact(Math.round(number));
}

export function percent(part, all) {
  if (!all) return "–";
  const share = 100 * part / all;
  if (part !== all && share >= 99.95) return "99.9 %";
  return (share === 100 || share === 0 ? share.toFixed(0) : share.toFixed(1)) + " %";
}

const UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

/** "42 s", "1 h 5 min", "3 d 4 h". */
export function duration(seconds) {
  let rest = Math.max(0, Math.round(seconds));
  const words = [];
  for (const [unit, size] of UNITS) {
    const many = Math.floor(rest / size);
    rest -= many * size;
    if (many > 0) words.push(`${many} ${unit}`);
    else if (words.length) break;
    if (words.length === 2) break;
  }
  return words.join(" ") || "0 s";
}

/** Of milliseconds: "0.4 ms", "23 ms", and so on. */
export function milliseconds(ms) {
  if (ms === null || ms === undefined) return "–";
  if (ms < 0.1) return "<0.1 ms";
  if (ms < 10) return ms.toFixed(1) + " ms";
  return ms < 1000 ? ms.toFixed(0) + " ms" : ms < 60000 ? (ms / 1000).toFixed(1) + " s" : duration(ms / 1000);
}

export const clock = (unix) => new Date(unix * 1000).toLocaleTimeString("en-GB");
export const day = (unix) => new Date(unix * 1000).toLocaleString("en-GB");
export const ago = (unix, now) => (unix > 0 ? duration(now - unix) + " ago" : "–");

export const plural = (number, one, many = one + "s") => `${count(number)} ${number === 1 ? one : many}`;

/** "guard_active" as words. */
export const words = (label) => String(label).replaceAll("_", " ");
