"use strict";

// Panels: each has an element, draw() for when the picture changes, and follow() for when only the step does.

const GRID_FROM = 9; // pixels from which cells are parted by lines

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function caption(panel, legend) {
  return element(
    "figcaption",
    {},
    element("b", { textContent: panel.title }),
    " ",
    element("span", { className: "hint", textContent: panel.hint }),
    legend,
  );
}

function colourBar(panel) {
  const bar = element("i");
  bar.style.background = gradient(paletteOf(panel));
  return element("span", { className: "legend" }, spelt(panel.numbers.low), bar, spelt(panel.numbers.high));
}

// A canvas that says what it shows.
function pictured(label) {
  const canvas = element("canvas");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", label);
  return canvas;
}

// A canvas of this many pixels of the screen, whatever the size of those, ready to draw on; null if it is not shown.
function prepared(canvas, height) {
  const width = canvas.clientWidth;
  if (!width) return null;
  const ratio = window.devicePixelRatio || 1;
  canvas.style.height = `${height}px`;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  pen.imageSmoothingEnabled = false;
  return { pen, width, height };
}

// Draw columns x rows cells into a box; share(column, row) is from 0 to 1, or NaN for a cell that stays empty.
function paintCells(pen, box, columns, rows, palette, share) {
  const colours = coloursOf(palette);
  const image = new ImageData(columns, rows);
  for (let row = 0, at = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++, at += 4) {
      const here = share(column, row);
      if (Number.isNaN(here)) continue;
      image.data.set(colours[Math.round(here * 255)], at);
      image.data[at + 3] = 255;
    }
  }
  const small = element("canvas", { width: columns, height: rows });
  small.getContext("2d").putImageData(image, 0, 0);
  pen.drawImage(small, box.x, box.y, box.width, box.height);
  pen.fillStyle = themed("line");
  const [wide, high] = [box.width / columns, box.height / rows];
  for (let column = 1; wide >= GRID_FROM && column < columns; column++)
    pen.fillRect(box.x + column * wide - 0.5, box.y, 1, box.height);
  for (let row = 1; high >= GRID_FROM && row < rows; row++) pen.fillRect(box.x, box.y + row * high - 0.5, box.width, 1);
}

function crossOut(pen, x, y, width, height) {
  pen.strokeStyle = themed("bad");
  pen.lineWidth = 1.5;
  pen.strokeRect(x + 1, y + 1, width - 2, height - 2);
  if (Math.min(width, height) < 5) return;
  pen.beginPath();
  pen.moveTo(x + 1, y + 1);
  pen.lineTo(x + width - 1, y + height - 1);
  pen.moveTo(x + width - 1, y + 1);
  pen.lineTo(x + 1, y + height - 1);
  pen.stroke();
}

// Lanes over time: a raster has rows in each lane, a strip is one number.
class TimePanel {
  constructor(panel, page) {
    Object.assign(this, {
      panel,
      page,
      group: panel.group,
      grid: page.grid(panel.numbers),
      wrong: panel.wrong && page.grid(panel.wrong),
    });
    this.strips = panel.kind === "strips";
    this.element = element("figure", { className: `panel ${panel.kind} ${panel.lanes.length > 1 ? "many" : "one"}` });
    this.element.dataset.name = panel.name;
    if (!this.strips || panel.lanes.length > 1) this.element.append(caption(panel, colourBar(panel)));
    this.lanes = panel.lanes.map((name, lane) => this.lane(name, lane));
  }

  lane(name, lane) {
    const canvas = pictured(`${this.panel.title} ${name} over time`);
    const rows = this.grid.rows;
    const below = this.strips ? "" : rows > 1 ? `${this.panel.axes[0]} 0–${rows - 1}` : this.panel.axes[0];
    const label = element(
      "span",
      { className: "label" },
      name || (this.strips ? this.panel.title : ""),
      element("small", { textContent: below }),
    );
    const readout = element("output");
    this.element.append(element("div", { className: "lane" }, label, canvas, readout));
    this.page.hover(
      canvas,
      (x, y) => this.describe(lane, x, y),
      (x) => this.stepAt(x),
    );
    return { canvas, readout };
  }

  height() {
    const rows = this.grid.rows;
    return this.strips ? 16 : Math.max(18, Math.min(rows * 13, 56 + rows * 1.6, 220));
  }

  stepAt(x) {
    return Math.floor(x * this.grid.steps);
  }

  draw() {
    const { moment, block } = this.page.state;
    const { steps, rows } = this.grid;
    this.lanes.forEach(({ canvas }, lane) => {
      const ready = prepared(canvas, this.height());
      if (!ready) return;
      const { pen, width, height } = ready;
      paintCells(pen, { x: 0, y: 0, width, height }, steps, rows, paletteOf(this.panel), (step, row) =>
        this.grid.share(moment, step, block, lane, row),
      );
      for (let step = 0; this.wrong && step < steps; step++) {
        for (let row = 0; row < rows; row++) {
          if (this.wrong.value(moment, step, block, lane, row) !== 1) continue;
          crossOut(pen, (step * width) / steps, (row * height) / rows, width / steps, height / rows);
        }
      }
    });
    this.follow();
  }

  follow() {
    const { low, high } = this.panel.numbers;
    const single = this.strips && this.lanes.length === 1 && high !== 1; // has no colour bar to say so
    this.lanes.forEach(({ readout }, lane) => {
      readout.replaceChildren(
        this.readout(lane),
        ...(single ? [element("small", { textContent: ` ${spelt(low)}…${spelt(high)}` })] : []),
      );
    });
  }

  column(lane) {
    const { moment, step, block } = this.page.state;
    return Array.from({ length: this.grid.rows }, (_, row) => this.grid.value(moment, step, block, lane, row));
  }

  // In figures what the column under the cursor shows.
  readout(lane) {
    const values = this.column(lane);
    if (values.every(Number.isNaN)) return "–";
    if (this.strips) return spelt(values[0]);
    if (this.panel.group === "task" && values.length <= 12) return values.map((value) => Math.round(value)).join("");
    const sizes = values.map(Math.abs);
    const largest = sizes.indexOf(Math.max(...sizes.filter((size) => !Number.isNaN(size))));
    return `${this.panel.axes[0]} ${largest}: ${spelt(values[largest])}`;
  }

  describe(lane, x, y) {
    const { moment, block } = this.page.state;
    const [step, row] = [this.stepAt(x), Math.floor(y * this.grid.rows)];
    const index = [moment, step, block, lane, row];
    const where = this.strips ? ` · ${this.panel.hint}` : `, ${this.panel.axes[0]} ${row}`;
    const wrong = this.wrong && this.wrong.value(...index) === 1 ? " (wrong)" : "";
    return [
      `${this.panel.title} ${this.panel.lanes[lane]}`.trim(),
      `step ${step}${where}`,
      spelt(this.grid.value(...index)) + wrong,
    ];
  }
}
