"use strict";

// An image for each step; beside slots stand, as columns, the weightings of the same slots.
class MatrixPanel {
  constructor(panel, page, beside) {
    Object.assign(this, { panel, page, group: panel.group, grid: page.grid(panel.numbers) });
    this.beside = beside.flatMap((other) =>
      other.lanes.map((_, lane) => ({ panel: other, lane, grid: page.grid(other.numbers) })),
    );
    this.element = element("figure", { className: "panel matrix" }, caption(panel, colourBar(panel)));
    this.element.dataset.name = panel.name;
    this.lanes = panel.lanes.map((name, lane) => {
      const canvas = pictured(`${panel.title} ${name} at the step`);
      this.element.append(...(name ? [element("small", { textContent: name })] : []), canvas);
      page.hover(canvas, (x, y) => this.describe(lane, x, y));
      return { canvas };
    });
    if (this.beside.length) this.element.append(this.key());
  }

  key() {
    const names = this.beside.map(({ panel, lane }, place) => {
      const mark = element("i", { textContent: place + 1 });
      const [red, green, blue] = coloursOf(paletteOf(panel))[170];
      mark.style.background = `rgb(${red}, ${green}, ${blue})`;
      mark.style.color = inkOn(paletteOf(panel), 170 / 255);
      return element("span", {}, mark, ` ${panel.title} ${panel.lanes[lane]}`.trimEnd());
    });
    return element("p", { className: "key" }, ...names);
  }

  layout(width) {
    const { rows, columns } = this.grid;
    const margin = 22;
    const side = this.beside.length ? this.beside.length * 15 + 8 : 0;
    const high = Math.max(2.5, Math.min(16, 260 / rows));
    const wide = Math.min((width - margin - side) / columns, Math.max(28, high));
    const top = this.beside.length ? 14 : 2;
    return { margin, side, high, wide, top, height: top + high * rows + 14 };
  }

  draw() {
    const { moment, step, block } = this.page.state;
    const { rows, columns } = this.grid;
    this.lanes.forEach(({ canvas }, lane) => {
      const form = this.layout(canvas.clientWidth);
      const ready = prepared(canvas, form.height);
      if (!ready) return;
      const { pen } = ready;
      const box = { x: form.margin + form.side, y: form.top, width: form.wide * columns, height: form.high * rows };
      paintCells(pen, box, columns, rows, paletteOf(this.panel), (column, row) =>
        this.grid.share(moment, step, block, lane, row, column),
      );
      this.frame(pen, box);
      this.beside.forEach((other, place) => {
        const column = { x: form.margin + place * 15, y: form.top, width: 12, height: box.height };
        paintCells(pen, column, 1, rows, paletteOf(other.panel), (_, row) =>
          other.grid.share(moment, step, block, other.lane, row),
        );
        this.frame(pen, column);
        this.text(pen, place + 1, column.x + 6, form.top - 4, "center");
      });
      const every = form.high >= 10 ? 1 : Math.ceil(10 / form.high);
      for (let row = 0; row < rows; row += every)
        this.text(pen, row, form.margin - 4, form.top + (row + 0.5) * form.high + 3, "right");
      this.text(pen, `${this.panel.axes[1]} 0–${columns - 1}`, box.x, box.y + box.height + 11, "left");
    });
  }

  follow() {
    this.draw();
  }

  frame(pen, { x, y, width, height }) {
    pen.strokeStyle = themed("line");
    pen.lineWidth = 1;
    pen.strokeRect(x - 0.5, y - 0.5, width + 1, height + 1);
  }

  text(pen, content, x, y, align) {
    pen.font = "10px system-ui, sans-serif";
    pen.fillStyle = themed("muted");
    pen.textAlign = align;
    pen.fillText(content, x, y);
  }

  describe(lane, x, y) {
    const { moment, step, block } = this.page.state;
    const { canvas } = this.lanes[lane];
    const form = this.layout(canvas.clientWidth);
    const [left, down] = [x * canvas.clientWidth - form.margin, y * form.height - form.top];
    const row = Math.floor(down / form.high);
    if (row < 0 || row >= this.grid.rows || left < 0) return null;
    const [rows, columns] = this.panel.axes;
    if (left < form.side) {
      const other = this.beside[Math.floor(left / 15)];
      return other
        ? [
            other.panel.title,
            `step ${step}, ${rows} ${row}`,
            spelt(other.grid.value(moment, step, block, other.lane, row)),
          ]
        : null;
    }
    const column = Math.floor((left - form.side) / form.wide);
    if (column >= this.grid.columns) return null;
    return [
      this.panel.title,
      `step ${step}, ${rows} ${row}, ${columns} ${column}`,
      spelt(this.grid.value(moment, step, block, lane, row, column)),
    ];
  }
}
