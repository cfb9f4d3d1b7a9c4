"use strict";

// The page's numbers: arrays [moment, step, block, lane, row, column] of codes of 8 or 16 bits, all in one buffer.

async function unpacked(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

class Grid {
  constructor({ at, bits, shape, low, high }, buffer) {
    const size = shape.reduce((product, length) => product * length, 1);
    this.codes = bits === 8 ? new Uint8Array(buffer, at, size) : new Uint16Array(buffer, at, size);
    this.nothing = 2 ** bits - 1; // the code of "there is nothing here"
    Object.assign(this, { shape, low, high });
    [this.moments, this.steps, this.blocks, this.lanes, this.rows, this.columns] = shape;
  }

  // What is the same at all moments of training, or has no blocks, is stored once.
  code(moment, step, block, lane, row = 0, column = 0) {
    const [m, k] = [Math.min(moment, this.moments - 1), Math.min(block, this.blocks - 1)];
    const place = ((m * this.steps + step) * this.blocks + k) * this.lanes + lane;
    return this.codes[(place * this.rows + row) * this.columns + column];
  }

  // From 0 at the lower limit to 1 at the upper one; NaN where there is nothing.
  share(...index) {
    const code = this.code(...index);
    return code === this.nothing ? NaN : code / (this.nothing - 1);
  }

  value(...index) {
    return this.low + this.share(...index) * (this.high - this.low);
  }
}

// Three digits that count, or a whole number.
function spelt(value) {
  if (Number.isNaN(value)) return "–";
  const size = Math.abs(value);
  if (Math.abs(value - Math.round(value)) < 0.0005) return `${Math.round(value)}`.replace("-", "−");
  const text =
    size >= 100 ? value.toFixed(0) : size >= 10 ? value.toFixed(1) : size >= 0.1 ? value.toFixed(2) : value.toFixed(3);
  return text.replace("-", "−");
}
