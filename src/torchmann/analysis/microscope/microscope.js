"use strict";

// The page: which sequence, moment of training, step and block are shown, and what changes them.

const GROUPS = {
  task: { title: "The task", open: true },
  use: { title: "Where the memory is used", open: true },
  contents: { title: "", open: true },
  gates: { title: "Gates and strengths", open: true },
  vectors: { title: "What goes to the memory and comes back", open: false },
  controller: { title: "The controller", open: false },
  more: { title: "More that was recorded", open: false },
};

const KINDS = {
  dense: { means: "reads and writes", colour: "dense" },
  cached: { means: "reads and writes, from the cache", colour: "cached" },
  hold_write: { means: "only reads", colour: "half" },
  hold_read: { means: "only writes", colour: "half" },
  hold: { means: "the memory rests", colour: "held" },
  cache: { means: "the memory rests, the hidden vector is cached", colour: "cache" },
};

const REFRESHABLE = { refreshable: { means: "training may ask for the input of this step", colour: "cached" } };
const BESIDE = ["write_weights", "read_weights", "usage"]; // drawn beside the slots of a memory
const FRAMES = { step: 350, moment: 700 }; // milliseconds of a frame when playing

const byId = (id) => document.getElementById(id);
const last = (name) => name.split(".").pop();
const container = (name) => name.split(".").slice(0, -1).join(".");

class Page {
  constructor(content, buffer) {
    Object.assign(this, { content, buffer, state: { film: 0, moment: 0, step: 0, block: 0 }, views: [], timer: null });
    byId("heading").querySelector("h1").textContent = content.title;
    byId("facts").textContent = content.facts.join(" · ");
    byId("film").append(...content.films.map(({ title }, value) => element("option", { value, textContent: title })));
    this.listen();
    this.open(this.asked());
  }

  get film() {
    return this.content.films[this.state.film];
  }

  grid(reference) {
    return new Grid(reference, this.buffer);
  }

  // What the address asks for: #film=0&step=3&moment=1&block=0; the last moment of training if it asks for none.
  asked() {
    const given = Object.fromEntries(
      [...new URLSearchParams(location.hash.slice(1))].map(([name, text]) => [name, Number(text)]),
    );
    return { film: 0, moment: Infinity, step: 0, block: 0, ...given };
  }

  limited({ film, moment, step, block }) {
    const within = (number, length) => Math.max(0, Math.min(Math.floor(number) || 0, length - 1));
    const chosen = within(film, this.content.films.length);
    const { moments, steps, panels } = this.content.films[chosen];
    const blocks = Math.max(...panels.map(({ numbers }) => numbers.shape[2]));
    const latest = moment === Infinity ? moments.length - 1 : moment;
    return {
      film: chosen,
      moment: within(latest, moments.length),
      step: within(step, steps),
      block: within(block, blocks),
      blocks,
    };
  }

  // Show another sequence: build its panels.
  open(state) {
    this.state = this.limited(state);
    const { film } = this;
    const panels = film.panels.map((panel) => this.view(panel));
    const now = new ThisStep(
      film,
      panels.filter(({ group }) => group === "task"),
      this,
    );
    const axis = new Axis(film, this);
    const story = film.read ? [new Story(film, this)] : [];
    const lanes = [...this.schedule(), ...panels.filter((view) => view instanceof TimePanel), ...this.refreshable()];
    this.views = [...story, now, axis, ...lanes, ...panels.filter((view) => view instanceof MatrixPanel)];
    byId("story").replaceChildren(...story.map((view) => view.element));
    byId("lanes").replaceChildren(axis.element, ...this.groups(lanes), ...this.overlays());
    byId("here").replaceChildren(now.element, ...this.groups(panels.filter((view) => view instanceof MatrixPanel)));
    byId("note").textContent = film.note;
    this.blocks = this.blockButtons();
    byId("blocks").replaceChildren("block ", ...this.blocks);
    this.controls();
    this.draw();
  }

  view(panel) {
    if (panel.kind !== "matrix") return new TimePanel(panel, this);
    const slots = panel.axes[0] === "slot" && panel.axes[1] !== "slot";
    const beside = this.film.panels.filter(
      (other) =>
        slots &&
        other.kind === "raster" &&
        BESIDE.includes(last(other.name)) &&
        container(other.name) === container(panel.name) &&
        other.numbers.shape[4] >= panel.numbers.shape[4], // an image may be cut
    );
    return new MatrixPanel(panel, this, beside);
  }

  // What is done with the memory at each step, if it ever rests.
  schedule() {
    const { kinds } = this.film;
    if (kinds.every((kind) => kind === "dense")) return [];
    const told = {
      name: "schedule",
      group: "use",
      title: "writing schedule",
      hint: "what is done with the memory",
      meanings: KINDS,
    };
    return [new WordStrip({ ...told, words: kinds }, this)];
  }

  // The steps whose input memory refreshing may ask for, if the model was trained with it.
  refreshable() {
    const { refreshable } = this.film;
    if (!refreshable) return [];
    const words = refreshable.map((may) => (may ? "refreshable" : ""));
    const told = { name: "refreshable", group: "task", title: "memory refreshing", hint: "", meanings: REFRESHABLE };
    return [new WordStrip({ ...told, words }, this)];
  }

  // Views below the headings of their groups.
  groups(views) {
    const alone = !views.some(({ group }) => group === "use"); // without a memory the controller is all there is to see
    return Object.entries(GROUPS).flatMap(([name, { title, open }]) => {
      const mine = views.filter(({ group }) => group === name);
      if (!mine.length) return [];
      const details = element(
        "details",
        { open: open || (alone && name === "controller") },
        element("summary", { textContent: title }),
        ...mine.map((view) => view.element),
      );
      details.addEventListener("toggle", () => mine.forEach((view) => view.draw()));
      return [details];
    });
  }

  // The cursor, and where answers are due, over all lanes.
  overlays() {
    const { asked, steps } = this.film;
    const over = (className, from, to) => {
      const made = element("div", { className });
      made.style.setProperty("--at", from / steps);
      made.style.setProperty("--of", (to - from) / steps);
      return made;
    };
    const runs = asked.flatMap((due, step) =>
      due && !asked[step - 1] ? [[step, (asked.indexOf(false, step) + steps + 1) % (steps + 1)]] : [],
    );
    this.cursor = over("cursor", 0, 1);
    return [...runs.map(([from, to]) => over("asked", from, to)), this.cursor];
  }

  // Let the controls say what is shown.
  controls() {
    const { film, state } = this;
    byId("film").value = state.film;
    byId("step").max = film.steps - 1;
    byId("step").value = state.step;
    byId("now-step").textContent = `step ${state.step} of 0–${film.steps - 1}`;
    document.body.classList.toggle("has-training", film.moments.length > 1);
    byId("moment").max = film.moments.length - 1;
    byId("moment").value = state.moment;
    byId("now-moment").textContent =
      `${film.moments[state.moment]} · ${film.verdicts[state.moment]}`;
    document.body.classList.toggle("has-blocks", state.blocks > 1);
    this.blocks.forEach((button, block) => button.setAttribute("aria-pressed", block === state.block));
    this.cursor.style.setProperty("--at", state.step / film.steps);
    clearTimeout(this.addressing); // browsers refuse to change the address very often
    const { blocks, ...address } = state;
    this.addressing = setTimeout(() => history.replaceState(null, "", `#${new URLSearchParams(address)}`), 300);
  }

  blockButtons() {
    return Array.from({ length: this.state.blocks }, (_, block) => {
      const button = element("button", { textContent: block + 1 });
      button.addEventListener("click", () => this.go({ block }));
      return button;
    });
  }

  draw() {
    document.documentElement.style.setProperty("--top", `${document.querySelector("header").offsetHeight}px`);
    this.views.forEach((view) => view.draw());
  }

  go(changes) {
    const before = this.state;
    const latest = before.moment === this.film.moments.length - 1; // of another sequence it may have another number
    const after = this.limited({ ...before, ...(latest ? { moment: Infinity } : {}), ...changes });
    if (after.film !== before.film) return this.open(after);
    this.state = after;
    this.controls();
    const same = after.moment === before.moment && after.block === before.block;
    this.views.forEach((view) => (same ? view.follow() : view.draw()));
  }

  play(what) {
    clearInterval(this.timer);
    const stop = this.playing === what;
    this.playing = stop ? null : what;
    const length = () => (what === "step" ? this.film.steps : this.film.moments.length);
    if (!stop) this.timer = setInterval(() => this.go({ [what]: (this.state[what] + 1) % length() }), FRAMES[what]);
    byId("play").textContent = this.playing === "step" ? "⏸" : "▶";
    byId("train").textContent = this.playing === "moment" ? "⏸" : "▶";
  }

  // Tell what is under the pointer; where there is time, a click or a drag goes to the step.
  hover(canvas, describe, stepAt) {
    const at = (event) =>
      [event.offsetX / canvas.clientWidth, event.offsetY / canvas.clientHeight].map((share) =>
        Math.max(0, Math.min(share, 0.9999)),
      );
    const tell = (event) => {
      const lines = describe(...at(event));
      byId("tip").hidden = !lines;
      if (!lines) return;
      const [title, where, value] = lines;
      byId("tip").replaceChildren(title, element("br"), `${where}: `, element("b", { textContent: value }));
      const [x, y] = [Math.min(event.clientX + 14, innerWidth - byId("tip").offsetWidth - 8), event.clientY + 18];
      byId("tip").style.transform = `translate(${Math.max(x, 4)}px, ${y + 60 > innerHeight ? y - 80 : y}px)`;
    };
    const move = (event) => {
      tell(event);
      if (stepAt && event.buttons) this.go({ step: stepAt(at(event)[0]) });
    };
    canvas.addEventListener("pointermove", move);
    canvas.addEventListener("pointerdown", move);
    canvas.addEventListener("pointerleave", () => (byId("tip").hidden = true));
    if (stepAt) canvas.classList.add("over-time");
  }

  listen() {
    for (const name of ["film", "step", "moment"])
      byId(name).addEventListener("input", (event) => this.go({ [name]: Number(event.target.value) }));
    byId("play").addEventListener("click", () => this.play("step"));
    byId("train").addEventListener("click", () => this.play("moment"));
    byId("back").addEventListener("click", () => this.go({ step: this.state.step - 1 }));
    byId("on").addEventListener("click", () => this.go({ step: this.state.step + 1 }));
    document.addEventListener("keydown", (event) => this.key(event));
    addEventListener("resize", () => this.draw());
    addEventListener("hashchange", () => this.open(this.asked()));
    dark.addEventListener("change", () => this.open(this.state));
  }

  key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || event.target.matches?.("select, input")) return;
    const { step, moment, block, blocks } = this.state;
    const keys = {
      ArrowLeft: () => this.go({ step: step - 1 }),
      ArrowRight: () => this.go({ step: step + 1 }),
      Home: () => this.go({ step: 0 }),
      End: () => this.go({ step: this.film.steps - 1 }),
      "[": () => this.go({ moment: moment - 1 }),
      "]": () => this.go({ moment: moment + 1 }),
      b: () => this.go({ block: (block + 1) % blocks }),
      " ": () => this.play("step"),
    };
    if (!keys[event.key] || (event.key === " " && event.target.matches?.("button, summary"))) return;
    event.preventDefault();
    keys[event.key]();
  }
}

if (!window.DecompressionStream) byId("note").textContent = "This page needs a browser of 2023 or later.";
const content = JSON.parse(byId("content").textContent);
unpacked(byId("numbers").textContent).then((buffer) => new Page(content, buffer));
