"use strict";

// A strip of words over time: a colour of the style sheet for each, and a key of those that occur.
class WordStrip {
  constructor({ name, group, title, hint, words, meanings }, page) {
    Object.assign(this, { words, group, page });
    const used = [...new Set(words)].filter((word) => word);
    const colours = ["dense", "held", "cached", "cache", "half"]; // of words without a meaning of their own
    this.colours = Object.fromEntries(used.map((word, place) => [word, meanings[word]?.colour ?? colours[place % 5]]));
    const key = used.map((word) => {
      const mark = element("i");
      mark.style.background = themed(this.colours[word]);
      return element("span", {}, mark, ` ${word}${meanings[word] ? `: ${meanings[word].means}` : ""}`);
    });
    this.canvas = pictured(`${title} over time`);
    this.readout = element("output");
    this.element = element(
      "figure",
      { className: "panel words" },
      caption({ title, hint }, ""),
      element("div", { className: "lane" }, element("span", { className: "label" }), this.canvas, this.readout),
      element("p", { className: "key" }, ...key),
    );
    this.element.dataset.name = name;
    const stepAt = (x) => Math.floor(x * words.length);
    page.hover(this.canvas, (x) => [title, `step ${stepAt(x)}`, words[stepAt(x)] || "–"], stepAt);
  }

  draw() {
    const ready = prepared(this.canvas, 16);
    if (!ready) return;
    const wide = ready.width / this.words.length;
    const gap = wide > 4 ? 1 : 0;
    this.words.forEach((word, step) => {
      if (!word) return;
      ready.pen.fillStyle = themed(this.colours[word]);
      ready.pen.fillRect(step * wide + gap / 2, 0, wide - gap, 16);
    });
    this.follow();
  }

  follow() {
    this.readout.textContent = this.words[this.page.state.step] || "–";
  }
}

// The numbers of the steps, and below them where answers are due.
class Axis {
  constructor(film, page) {
    Object.assign(this, { film, page });
    this.canvas = pictured("steps");
    this.element = element(
      "div",
      { className: "lane axis" },
      element("span", { className: "label", textContent: "step" }),
      this.canvas,
      element("output"),
    );
    const stepAt = (x) => Math.floor(x * film.steps);
    page.hover(
      this.canvas,
      (x) => ["step", film.asked[stepAt(x)] ? "an answer is due" : "no answer is due", stepAt(x)],
      stepAt,
    );
  }

  draw() {
    const ready = prepared(this.canvas, 24);
    if (!ready) return;
    const { pen, width } = ready;
    const { steps, asked } = this.film;
    const wide = width / steps;
    const every = [1, 2, 5, 10, 20, 50, 100].find((count) => count * wide >= 26) ?? 200;
    pen.font = "11px system-ui, sans-serif";
    pen.textAlign = "center";
    for (let step = 0; step < steps; step++) {
      pen.fillStyle = themed("due");
      if (asked[step]) pen.fillRect(step * wide, 20, wide, 4);
      const here = step === this.page.state.step;
      const hidden = !here && Math.abs(step - this.page.state.step) * wide < 20;
      if (!here && (step % every || hidden)) continue;
      pen.fillStyle = themed(here ? "ink" : "muted");
      pen.font = `${here ? "bold " : ""}11px system-ui, sans-serif`;
      pen.fillText(step, Math.max(4, Math.min((step + 0.5) * wide, width - 10)), 14);
    }
  }

  follow() {
    this.draw();
  }
}
