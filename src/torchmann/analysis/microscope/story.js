"use strict";

// What was read and said: the story word by word, and the answer of the step in figures.

const FEW_CHANNELS = 16;

// A word at each step; answers show what the model said, and words that it should reproduce whether it did.
class Story {
  constructor(film, page) {
    Object.assign(this, { film, page });
    this.everywhere = film.asked.every((due) => due); // then there is no room for the answers between the words
    this.element = element("div", { className: "story" });
    this.words = film.read.map((word, step) => {
      const button = element("button", { textContent: word });
      button.addEventListener("click", () => page.go({ step }));
      this.element.append(button, " ");
      return button;
    });
  }

  draw() {
    const { moment } = this.page.state;
    this.words.forEach((button, step) => {
      const answer = said(this.film.answers, moment, step);
      const again = said(this.film.reproduced, moment, step);
      const [given] = answer ? answer.words[0] : [""];
      button.className = answer ? (answer.right ? "right" : "wrong") : again ? (again.right ? "kept" : "lost") : "";
      if (answer && !this.everywhere)
        button.textContent = answer.right ? `✓ ${given}` : `✗ ${given} (${answer.wanted})`;
      const told = [...(answer ? [`answered: ${given}`] : []), ...(again ? [`reproduced: ${again.words[0][0]}`] : [])];
      button.title = told.join(", ");
    });
    this.follow();
  }

  follow() {
    this.words.forEach((button, step) => button.classList.toggle("here", step === this.page.state.step));
    this.element.scrollTop = this.words[this.page.state.step].offsetTop - this.element.clientHeight / 2;
  }
}

// What the model said at a step in words; null where nothing was asked.
function said(answers, moment, step) {
  const wanted = answers?.wanted[step];
  if (wanted === undefined) return null;
  const words = answers.given[Math.min(moment, answers.given.length - 1)][step];
  return { wanted, words, right: words[0][0] === wanted };
}

// Input, target and output of the step in figures.
class ThisStep {
  constructor(film, panels, page) {
    Object.assign(this, { film, panels, page });
    this.element = element("figure", { className: "panel step" });
    this.element.dataset.name = "this step";
  }

  draw() {
    const { step, moment } = this.page.state;
    const kind = this.film.kinds[step];
    const doing = this.film.asked[step] ? "an answer is due" : "no answer is asked for";
    const rests = kind === "dense" ? "" : ` · ${KINDS[kind]?.means ?? kind}`;
    this.element.replaceChildren(
      element(
        "figcaption",
        {},
        element("b", { textContent: `step ${step}` }),
        " ",
        element("span", { className: "hint", textContent: doing + rests }),
      ),
    );
    const rows = this.panels
      .filter(({ grid, strips }) => !strips && grid.rows <= FEW_CHANNELS)
      .map((shown) => this.row(shown));
    if (rows.length) this.element.append(element("table", {}, element("tbody", {}, ...rows)));
    if (this.film.read)
      this.element.append(element("p", {}, "reads ", element("b", { textContent: this.film.read[step] })));
    this.words("answer", said(this.film.answers, moment, step));
    this.words("reproduces", said(this.film.reproduced, moment, step));
  }

  follow() {
    this.draw();
  }

  row({ panel, grid, wrong }) {
    const { step, moment, block } = this.page.state;
    const cells = Array.from({ length: grid.rows }, (_, row) => {
      const index = [moment, step, block, 0, row];
      const share = grid.share(...index);
      const cell = element("td", {
        textContent: Number.isNaN(share) ? "" : spelt(grid.value(...index)).replace(/^0\./, "."),
      });
      if (!Number.isNaN(share)) {
        cell.style.background = `rgb(${coloursOf(paletteOf(panel))[Math.round(share * 255)]})`;
        cell.style.color = inkOn(paletteOf(panel), share);
      }
      if (wrong && wrong.value(...index) === 1) cell.className = "wrong";
      return cell;
    });
    return element("tr", {}, element("th", { textContent: panel.title }), ...cells);
  }

  words(verb, answer) {
    if (!answer) return;
    const lines = answer.words.map(([word, chance]) => {
      const bar = element("i");
      bar.style.width = `${100 * chance}%`;
      const mark = word === answer.wanted ? "right" : "";
      return element(
        "tr",
        { className: mark },
        element("th", { textContent: word }),
        element("td", {}, bar),
        element("td", { textContent: spelt(chance) }),
      );
    });
    const verdict = answer.right ? "✓" : `✗, wanted: ${answer.wanted}`;
    this.element.append(
      element("p", {}, `${verb} ${verdict}`),
      element("table", { className: "likeliest" }, element("tbody", {}, ...lines)),
    );
  }
}
