"use strict";

// From a number to a colour. Every palette starts at the colour of the ground, in light and in dark.

const PALETTES = {
  light: {
    plain: ["#ffffff", "#9aa7b2", "#22303c"],
    write: ["#ffffff", "#fdae6b", "#e6550d", "#7f2704"],
    read: ["#ffffff", "#9ecae1", "#3182bd", "#08306b"],
    usage: ["#ffffff", "#a1d99b", "#31a354", "#00441b"],
    gate: ["#ffffff", "#bcbddc", "#756bb1", "#3f007d"],
    signed: ["#154a8a", "#5a9bd4", "#ffffff", "#ef8a62", "#a11323"],
  },
  dark: {
    plain: ["#1a2129", "#6b7a88", "#e8eef4"],
    write: ["#1a2129", "#8a3d0f", "#f17a24", "#ffe3c4"],
    read: ["#1a2129", "#17507f", "#4aa3e6", "#d9f0ff"],
    usage: ["#1a2129", "#14592f", "#3cb867", "#d8f8de"],
    gate: ["#1a2129", "#4b3a85", "#9d8ae8", "#ece6ff"],
    signed: ["#a6d5ff", "#3a86cc", "#1a2129", "#cc5a3a", "#ffbfa6"],
  },
};

const ROLES = [
  [/attentive|attention/, "gate"],
  [/^(write|erase|alloc)/, "write"],
  [/^(read|free)/, "read"],
  [/usage|precedence|link/, "usage"],
];

const dark = window.matchMedia("(prefers-color-scheme: dark)");

function paletteOf(panel) {
  if (panel.numbers.low < 0) return "signed";
  const name = panel.name.split(".").pop();
  const role = ROLES.find(([pattern]) => pattern.test(name));
  return role ? role[1] : "plain";
}

const tables = {};

// 256 colours [red, green, blue] of a palette under the present scheme.
function coloursOf(palette) {
  const scheme = dark.matches ? "dark" : "light";
  const key = `${scheme} ${palette}`;
  tables[key] ??= Array.from({ length: 256 }, (_, place) => between(PALETTES[scheme][palette], place / 255));
  return tables[key];
}

function between(stops, share) {
  const place = share * (stops.length - 1);
  const first = Math.min(Math.floor(place), stops.length - 2);
  const [from, to] = [stops[first], stops[first + 1]].map((stop) =>
    [1, 3, 5].map((at) => parseInt(stop.slice(at, at + 2), 16)),
  );
  return from.map((colour, channel) => Math.round(colour + (to[channel] - colour) * (place - first)));
}

function gradient(palette) {
  const stops = [0, 0.25, 0.5, 0.75, 1].map((share) => `rgb(${coloursOf(palette)[Math.round(share * 255)]})`);
  return `linear-gradient(to right, ${stops})`;
}

function inkOn(palette, share) {
  const [red, green, blue] = coloursOf(palette)[Math.round(share * 255)];
  return 0.3 * red + 0.59 * green + 0.11 * blue > 140 ? "#14202b" : "#ffffff";
}

// A colour of the style sheet.
function themed(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
