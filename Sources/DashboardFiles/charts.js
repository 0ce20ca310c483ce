// Lines over the last five minutes. The pointer, or the arrow keys, read one moment.

import { drawn, element, say } from "./figures.js";

export const SECONDS = 300;
const HEIGHT = 170;
const [LEFT, RIGHT, TOP, BOTTOM] = [54, 8, 10, 22];

/** The least of 1, 2, 2.5 and 5 times a power of ten that is not below a value. */
export function ceiling(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((step) => step >= value * 0.999);
}

export class Chart {
  /**
   * `lines` are `{ name, kind, of }`: a class of a line, and what it takes of a second, or null.
   * `words(second, at)` says what was in a second; `unit(value)` marks the axis.
   */
  constructor(holder, { label, lines, words, unit, fillsGaps, fault, legend }) {
    Object.assign(this, { holder, label, lines, words, unit, fillsGaps, fault, legend });
    this.svg = drawn("svg", { class: "chart", role: "img", tabindex: 0 });
    this.note = element("p", { class: "chart-words", "aria-live": "polite" });
    holder.append(this.svg, this.note);
    this.seconds = new Map();
    this.marks = [];
    this.end = 0;
    this.chosen = null;
    this.svg.addEventListener("pointermove", (event) => this.point(event));
    this.svg.addEventListener("pointerleave", () => this.choose(null));
    this.svg.addEventListener("blur", () => this.choose(null));
    this.svg.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(holder);
  }

  /** Shows these seconds, by number, up to `end`; marks are seconds of decisions. */
  show(seconds, marks, end) {
    Object.assign(this, { seconds, marks, end });
    this.draw();
  }

  point(event) {
    const box = this.svg.getBoundingClientRect();
    const share = (event.clientX - box.left - LEFT) / (box.width - LEFT - RIGHT);
    this.choose(Math.round(this.end - SECONDS + share * SECONDS));
  }

  key(event) {
    const steps = { ArrowLeft: -5, ArrowRight: 5, Home: -SECONDS, End: SECONDS };
    if (event.key === "Escape") this.choose(null);
    if (!(event.key in steps)) return;
    event.preventDefault();
    this.choose((this.chosen ?? this.end) + steps[event.key]);
  }

  choose(second) {
    this.chosen = second === null ? null
      : Math.max(this.end - SECONDS + 1, Math.min(this.end, second));
    this.draw();
  }

  draw() {
    const width = Math.max(240, this.holder.clientWidth);
    const [right, bottom] = [width - RIGHT, HEIGHT - BOTTOM];
    const x = (second) => LEFT + ((second - this.end + SECONDS) / SECONDS) * (right - LEFT);
    const shown = [...this.seconds.values()].filter(({ second }) => second > this.end - SECONDS);
    const top = ceiling(Math.max(0, ...shown.flatMap((second) =>
      this.lines.map(({ of }) => of(second) ?? 0))));
    const y = (value) => bottom - (value / top) * (bottom - TOP);
    const parts = [];
    for (const share of [0, 0.5, 1]) {
      parts.push(drawn("line", { class: "grid", x1: LEFT, x2: right, y1: y(top * share), y2: y(top * share) }));
      const text = drawn("text", { x: LEFT - 6, y: y(top * share) + 4, "text-anchor": "end" });
      text.textContent = this.unit(top * share);
      parts.push(text);
    }
    for (const minutes of width < 420 ? [4, 2, 0] : [5, 4, 3, 2, 1, 0]) {
      const text = drawn("text", {
        x: x(this.end - minutes * 60), y: HEIGHT - 5,
        "text-anchor": minutes === 0 ? "end" : minutes === 5 ? "start" : "middle",
      });
      text.textContent = minutes === 0 ? "now" : `−${minutes} min`;
      parts.push(text);
    }
    for (const mark of this.marks.filter((second) => second > this.end - SECONDS)) {
      parts.push(drawn("line", { class: "mark", x1: x(mark), x2: x(mark), y1: TOP, y2: bottom }));
    }
    for (const line of this.lines) parts.push(...this.line(line, x, y, bottom));
    for (const second of shown.filter((one) => this.fault?.(one))) {
      parts.push(drawn("circle", { class: "fault", cx: x(second.second), cy: bottom - 3, r: 3 }));
    }
    if (this.chosen !== null) {
      parts.push(drawn("line", { class: "cross", x1: x(this.chosen), x2: x(this.chosen), y1: TOP, y2: bottom }));
    }
    this.svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    this.svg.setAttribute("aria-label", `${this.label}. ${this.words(this.seconds.get(this.end), 0)}`);
    this.svg.replaceChildren(...parts);
    const at = this.chosen ?? this.end;
    say(this.note, this.chosen === null ? this.hint() : this.words(this.seconds.get(at), this.end - at));
  }

  /** How to read it. */
  hint() {
    const isMarked = this.marks.some((second) => second > this.end - SECONDS);
    return [this.legend, isMarked ? "Dotted uprights: a plan was decided." : ""].join(" ").trim();
  }

  line({ name, of }, x, y, bottom) {
    const begin = Math.max(1, this.end - SECONDS + 1);
    let path = "";
    let first = null;
    let last = null;
    for (let second = begin; second <= this.end; second += 1) {
      const known = this.seconds.get(second);
      const value = known ? of(known) : this.fillsGaps ? 0 : null;
      if (value === null || value === undefined) {
        last = null;
        continue;
      }
      const point = `${x(second).toFixed(1)} ${y(value).toFixed(1)}`;
      // A second alone is a dot.
      path += last === null ? `M${point}h.01` : `L${point}`;
      first ??= second;
      last = second;
    }
    if (!path) return [];
    const parts = [];
    if (name === "main" && this.fillsGaps) {
      parts.push(drawn("path", {
        class: "area", d: `${path}L${x(last).toFixed(1)} ${bottom}L${x(first).toFixed(1)} ${bottom}Z`,
      }));
    }
    parts.push(drawn("path", { class: name, d: path, "stroke-linecap": "round" }));
    return parts;
  }
}
