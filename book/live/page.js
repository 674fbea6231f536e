// Explorers in a rendered page: native controls, the recording at once, then nnlib itself in a worker.
// The book's build joins this file and nnlib/explorers/static/view.js into one classic script, so that a
// page opened from disk runs it too.

const BASE = new URL("./", document.currentScript.src);
const CALM = matchMedia("(prefers-reduced-motion: reduce)");
const RECORDING_FPS = 8;
const RUN_SECONDS = 0.02; // of each request while playing: short, so that a control answers at once
const FROM_DISK =
  "This page was opened from a file, where browsers run no live Python. What you see is a recording of " +
  "nnlib. To make it live, run “make serve” in the course's folder and open http://127.0.0.1:8000/.";

function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

// ------------------------------------------------------------------ the worker, one for all explorers

class Kernel {
  constructor() {
    this.started = null;
    this.tickets = 0;
    this.waiting = new Map();
    this.listeners = new Set();
  }

  /** Start the worker if nobody has yet; resolves when nnlib answers. */
  start() {
    this.started ??= this.#start();
    return this.started;
  }

  async #start() {
    if (location.protocol === "file:") throw new Error(FROM_DISK);
    const manifest = await (await fetch(new URL("../pyodide/manifest.json", BASE), { cache: "no-store" })).json();
    if (!manifest.available) {
      throw new Error(`This copy of the book was built without Python for the browser (${manifest.reason}). ` +
        "What you see is a recording of nnlib.");
    }
    await new Promise((resolve, reject) => {
      this.worker = new Worker(new URL(`worker.js?${manifest.lock}`, BASE));
      this.worker.onerror = (event) => this.#fail(event.message || "the worker stopped", reject);
      this.worker.onmessage = ({ data }) => {
        if (data.progress) this.listeners.forEach((listener) => listener(data.progress));
        else if (data.ready) resolve();
        else if (data.failed) this.#fail(data.failed, reject);
        else {
          this.waiting.get(data.ticket).resolve(JSON.parse(data.answer));
          this.waiting.delete(data.ticket);
        }
      };
    });
  }

  #fail(reason, reject) {
    const error = new Error(`Python could not be started in this browser: ${reason}`);
    reject(error);
    this.waiting.forEach((promise) => promise.reject(error));
    this.waiting.clear();
    this.worker.terminate();
  }

  async request(request) {
    await this.start();
    const ticket = ++this.tickets;
    return new Promise((resolve, reject) => {
      this.waiting.set(ticket, { resolve, reject });
      this.worker.postMessage({ ticket, request });
    });
  }
}

const kernel = new Kernel();

// ------------------------------------------------------------------ controls

/** Three digits in at most seven characters, which is what a field has room for: 0.03, 3.16e-4. */
function short(value) {
  const number = Number(Number(value).toPrecision(3));
  return Math.abs(number) >= 0.001 || number === 0 ? String(number) : number.toExponential();
}

/** A native control for a declared one: {node, get(), set(value)}; `changed()` is called by the reader's hand. */
function makeControl(spec, id, changed) {
  const node = element("div", { class: `explorer-control explorer-control-${spec.kind}` });
  const label = element("label", { for: id }, spec.label);
  if (spec.kind === "choice") {
    const select = element("select", { id, name: spec.name },
      ...spec.choices.map(([value, text]) => element("option", { value }, text)));
    select.addEventListener("change", changed);
    node.append(label, select);
    return { node, get: () => select.value, set: (value) => { select.value = value; } };
  }
  if (spec.kind === "toggle") {
    const box = element("input", { id, name: spec.name, type: "checkbox" });
    box.addEventListener("change", changed);
    label.prepend(box, " ");
    node.append(label);
    return { node, get: () => box.checked, set: (value) => { box.checked = value; } };
  }
  if (spec.kind === "log") return makeLogControl(spec, id, label, node, changed);
  const typed = spec.name === "seed"; // a seed has no more and less
  const input = element("input", {
    id, name: spec.name, type: typed ? "number" : "range", min: spec.low, max: spec.high, step: spec.step,
  });
  const output = element("output", { for: id });
  const write = () => { output.textContent = short(input.value); };
  input.addEventListener("input", () => {
    write();
    if (input.value !== "" && input.checkValidity()) changed();
  });
  node.append(label, input, ...(typed ? [] : [output]));
  return {
    node,
    get: () => Number(input.value === "" ? spec.default : input.value),
    set: (value) => { input.value = value; write(); },
  };
}

/** A number whose order of magnitude matters: the named field holds the number, a slider its logarithm. */
function makeLogControl(spec, id, label, node, changed) {
  const [low, high] = [Math.log10(spec.low), Math.log10(spec.high)];
  const field = element("input", { id, name: spec.name, type: "number", min: spec.low, max: spec.high, step: "any" });
  const range = element("input", {
    type: "range", min: low, max: high, step: (high - low) / Math.round((high - low) * 20),
    "aria-label": `${spec.label}, slider`,
  });
  let exact = null; // what the engine has, of which the field shows three digits
  const follow = () => {
    range.value = Math.log10(Number(field.value));
    range.setAttribute("aria-valuetext", short(field.value));
  };
  field.addEventListener("input", () => {
    exact = null;
    if (field.value === "" || !field.checkValidity()) return;
    follow();
    changed();
  });
  range.addEventListener("input", () => {
    const value = Number((10 ** Number(range.value)).toPrecision(2));
    exact = null;
    field.value = short(Math.min(spec.high, Math.max(spec.low, value)));
    range.setAttribute("aria-valuetext", field.value);
    changed();
  });
  // the arrow keys of a number field would add 1: here they go to the next step of the slider
  field.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowUp" && event.key !== "ArrowDown") return;
    event.preventDefault();
    if (event.key === "ArrowUp") range.stepUp(2);
    else range.stepDown(2);
    range.dispatchEvent(new Event("input"));
  });
  node.append(label, range, field);
  return {
    node,
    get: () => exact ?? Number(field.value),
    set: (value) => { exact = value; field.value = short(value); follow(); },
  };
}

/** Several toggles share a row, the last one. */
function togglesInOneRow(nodes) {
  const toggles = nodes.filter((node) => node.classList.contains("explorer-control-toggle"));
  if (toggles.length < 2) return nodes;
  const row = element("div", { class: "explorer-toggles" }, ...toggles);
  return [...nodes.filter((node) => !toggles.includes(node)), row];
}

// ------------------------------------------------------------------ one explorer of the page

class Mount {
  constructor(root, id) {
    this.root = root;
    this.id = root.id = id;
    this.spec = JSON.parse(root.querySelector("script").textContent);
    this.busy = false; // a request is on its way
    this.playing = false;
    this.near = false;
    this.todo = { settings: {}, acts: [] };
    this.#build();
    this.defaults = Object.fromEntries(this.spec.controls.map((control) => [control.name, control.default]));
    this.initial = { ...this.defaults, ...this.spec.settings };
    this.#showSettings({ ...this.initial, ...this.#settingsFromHash() });
    this.recording = new Recording(this.spec.recording, (frame) => this.#show(frame), this.scrubber);
    this.#watch();
  }

  #build() {
    const { spec, id } = this;
    const button = (name, label, pressed) => {
      const node = element("button", { type: "button", name }, label);
      node.addEventListener("click", () => pressed.call(this));
      return node;
    };
    this.controls = Object.fromEntries(spec.controls.map((control) => [
      control.name, makeControl(control, `${id}-${control.name}`, () => this.#changed(control)),
    ]));
    this.badge = element("span", { class: "explorer-badge" });
    this.playButton = button("play", "Play", this.#togglePlay);
    const buttons = [
      this.playButton,
      button("step", "Step", () => this.#ask("step")),
      ...spec.buttons.map(({ name, label }) => button(name, label, () => this.#ask("act", { name }))),
      button("reset", "Reset", () => this.#ask("reset")),
    ];
    this.scrubber = element("div", { class: "explorer-scrubber" });
    this.alert = element("p", { class: "explorer-alert", role: "alert", hidden: true });
    this.panel = element("div");
    this.copyButton = button("copy-link", "Copy link", this.#copyLink);
    this.inputs = element("div", { class: "explorer-inputs" },
      element("form", { class: "explorer-controls", "aria-label": `${spec.title}: settings` },
        ...togglesInOneRow(Object.values(this.controls).map(({ node }) => node))),
      element("div", { class: "explorer-buttons" }, ...buttons, this.copyButton));
    this.inputs.firstChild.addEventListener("submit", (event) => event.preventDefault());
    const picture = this.root.querySelector("img");
    if (picture) picture.hidden = true;
    this.root.append(
      element("div", { class: "explorer-head" }, element("p", { class: "explorer-title" }, spec.title), this.badge),
      element("p", { class: "explorer-caption" }, spec.caption),
      this.inputs, this.alert, this.panel, this.scrubber);
    this.root.setAttribute("role", "group");
    this.root.setAttribute("aria-label", spec.title);
    this.view = createView(this.panel, {
      act: (name, value) => this.#ask("act", { name, value }),
      typeset,
    });
    this.#state("recorded");
  }

  #state(state, detail = "") {
    this.root.dataset.state = state;
    const live = state === "live";
    this.badge.textContent = { recorded: "Recording", loading: `${detail || "Loading Python"} …`, live: "Live", failed: "Recording only" }[state];
    this.scrubber.hidden = live;
    this.inputs.hidden = state === "failed"; // no dead control is ever shown
    if (state === "failed") this.panel.before(this.scrubber); // it is all that can be operated
    if (state === "failed") this.#warn(detail);
  }

  #warn(text) {
    this.alert.textContent = text;
    this.alert.hidden = !text;
  }

  /** Go live when near the screen, play only while on it. */
  #watch() {
    const approach = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      approach.disconnect();
      this.#goLive();
    }, { rootMargin: "400px" });
    approach.observe(this.root);
    new IntersectionObserver((entries) => {
      this.near = entries.at(-1).isIntersecting;
      this.recording.visible(this.near);
      this.#work();
    }).observe(this.root);
    document.addEventListener("visibilitychange", () => {
      this.recording.visible(this.near); // goes on when the page is seen again
      this.#work();
    });
    addEventListener("hashchange", () => {
      const settings = this.#settingsFromHash();
      if (!settings) return;
      this.#showSettings({ ...this.initial, ...settings });
      this.todo.settings = this.#settings();
      this.#work();
    });
  }

  async #goLive() {
    const listener = (text) => this.root.dataset.state === "loading" && this.#state("loading", text);
    kernel.listeners.add(listener);
    this.#state("loading");
    try {
      const answer = await kernel.request({
        id: this.id, do: "open", explorer: this.spec.explorer, settings: this.#settings(),
      });
      if (answer.error) throw new Error(answer.error);
      this.recording.stop();
      this.#state("live");
      this.#take(answer);
      this.#work();
    } catch (error) {
      this.#state("failed", error.message);
    } finally {
      kernel.listeners.delete(listener);
    }
  }

  // What the reader asks for

  #settings() {
    return Object.fromEntries(Object.entries(this.controls).map(([name, control]) => [name, control.get()]));
  }

  #showSettings(settings) {
    for (const [name, value] of Object.entries(settings)) this.controls[name]?.set(value);
  }

  #changed(control) {
    this.todo.settings[control.name] = this.controls[control.name].get();
    this.#writeHash();
    this.#work();
  }

  #ask(request, rest = {}) {
    if (rest.name === "draw") this.todo.acts = this.todo.acts.filter((act) => act.name !== "draw"); // the last stroke has all
    this.todo.acts.push({ do: request, ...rest });
    this.#work();
  }

  #togglePlay() {
    this.#play(!this.playing);
    this.#work();
  }

  #play(on) {
    this.playing = on;
    this.playButton.textContent = on ? "Pause" : "Play";
  }

  // What the worker is asked, one request at a time: settings first, then acts, then running

  #next() {
    const { todo } = this;
    if (Object.keys(todo.settings).length) {
      const settings = todo.settings;
      todo.settings = {};
      return { do: "set", settings };
    }
    if (todo.acts.length) return todo.acts.shift();
    if (!this.playing || !this.near || document.hidden) return null;
    if (!this.pace) return { do: "run", seconds: RUN_SECONDS };
    const passed = Math.min(0.1, (performance.now() - this.lastRun) / 1000) || 0;
    return { do: "step", budget: Math.max(1, Math.round(this.pace * passed)) };
  }

  async #work() {
    if (this.busy || this.root.dataset.state !== "live") return;
    this.busy = true;
    let request;
    while ((request = this.#next())) {
      const running = request.do === "run" || request.do === "step";
      const due = performance.now() + 1000 / (this.pace ?? 60);
      if (running) this.lastRun = performance.now();
      let answer;
      try {
        answer = await kernel.request({ id: this.id, ...request });
      } catch (error) {
        this.#state("failed", error.message);
        break;
      }
      this.#take(answer);
      if (running) await this.#until(due);
    }
    this.busy = false;
  }

  /** Wait for the next picture, and for the pace; a request by hand cuts the waiting short. */
  async #until(due) {
    await new Promise(requestAnimationFrame);
    while (performance.now() < due && this.playing && !this.todo.acts.length && !Object.keys(this.todo.settings).length) {
      await new Promise((resolve) => setTimeout(resolve, Math.min(30, Math.max(0, due - performance.now()))));
    }
  }

  #take(answer) {
    this.#warn(answer.error ?? "");
    if (answer.error) {
      this.#play(false);
      return;
    }
    const { frame } = answer;
    this.pace = frame.pace;
    if (frame.command === "play") this.#play(true);
    if (frame.command === "pause") this.#play(false);
    // the engine may move its own settings; what the reader has changed since is not overwritten
    const moved = Object.entries(frame.settings).filter(
      ([name, value]) => !(name in this.todo.settings) && this.controls[name]?.get() !== value);
    this.#showSettings(Object.fromEntries(moved));
    this.#show(frame);
  }

  #show(frame) {
    this.root.frame = frame; // for the console: document.getElementById("decision-boundary").frame
    this.view.show(frame);
    for (const name of ["step", "loss", "accuracy"]) this.root.dataset[name] = this.panel.dataset[name];
  }

  // Settings in the address: #decision-boundary?learning_rate=0.3&seed=1

  #settingsFromHash() {
    const [id, query] = readable(location.hash.slice(1)).split("?");
    if (id !== this.id) return null;
    requestAnimationFrame(() => this.root.scrollIntoView());
    const settings = {};
    for (const [name, text] of new URLSearchParams(query)) {
      const control = this.spec.controls.find((one) => one.name === name);
      const value = control && readValue(control, text);
      if (value != null) settings[name] = value;
    }
    return settings;
  }

  #hash() {
    const changed = Object.entries(this.#settings()).filter(
      ([name, value]) => name === "seed" || value !== this.initial[name]);
    const query = new URLSearchParams(changed.map(([name, value]) => [name, String(value)]));
    return changed.length ? `#${this.id}?${query}` : `#${this.id}`;
  }

  #writeHash() {
    clearTimeout(this.hashTimer);
    this.hashTimer = setTimeout(() => history.replaceState(null, "", this.#hash()), 200);
  }

  async #copyLink() {
    const link = new URL(this.#hash(), location.href).href;
    history.replaceState(null, "", link);
    try {
      await navigator.clipboard.writeText(link);
      this.copyButton.textContent = "Link copied";
    } catch {
      this.copyButton.textContent = "The link is in the address bar";
    }
    setTimeout(() => { this.copyButton.textContent = "Copy link"; }, 2500);
  }
}

/** An address without its percent signs, where they mean something. */
function readable(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** A setting from the address, or null when it is none. */
function readValue(control, text) {
  if (control.kind === "choice") return control.choices.some(([value]) => value === text) ? text : null;
  if (control.kind === "toggle") return text === "true" ? true : text === "false" ? false : null;
  const number = Number(text);
  if (text === "" || !(control.low <= number && number <= control.high)) return null;
  return control.kind === "whole" && !Number.isInteger(number) ? null : number;
}

/** The equation of a label stands in the book once; the build put it into equations-data.js. */
async function typeset(node, latex, label) {
  const source = window.courseEquations?.[label] ?? latex;
  if (!window.MathJax?.startup) {
    node.textContent = source;
    return;
  }
  await MathJax.startup.promise;
  const drawn = await MathJax.tex2svgPromise(source, { display: true });
  node.replaceChildren(drawn);
}

// ------------------------------------------------------------------ the recording

class Recording {
  constructor(changes, show, scrubber) {
    this.frames = [];
    for (const change of changes) {
      this.frames.push(this.frames.length ? patch(this.frames.at(-1), change) : change);
    }
    this.show = show;
    this.at = CALM.matches ? this.frames.length - 1 : 0;
    this.running = !CALM.matches && this.frames.length > 1;
    this.button = element("button", { type: "button", name: "play-recording" });
    this.slider = element("input", {
      type: "range", min: 0, max: this.frames.length - 1, step: 1, "aria-label": "Frame of the recording",
    });
    this.button.addEventListener("click", () => {
      if (!this.running && this.at === this.frames.length - 1) this.at = 0;
      this.running = !this.running;
      this.#go();
    });
    this.slider.addEventListener("input", () => {
      this.running = false;
      this.at = Number(this.slider.value);
      this.#go();
    });
    scrubber.append(this.button, this.slider, element("span", {}, "a default run, recorded"));
    this.#go();
  }

  visible(on) {
    this.shown = on;
    this.#go();
  }

  stop() {
    this.stopped = true;
    clearTimeout(this.timer);
    this.frames = [];
  }

  #go() {
    clearTimeout(this.timer);
    if (this.stopped) return;
    this.show(this.frames[this.at]);
    this.slider.value = this.at;
    this.slider.setAttribute("aria-valuetext", `${this.at + 1} of ${this.frames.length}`);
    if (this.at === this.frames.length - 1) this.running = false;
    this.button.textContent = this.running ? "Pause recording" : "Play recording";
    if (this.running && this.shown && !document.hidden) {
      this.timer = setTimeout(() => { this.at += 1; this.#go(); }, 1000 / RECORDING_FPS);
    }
  }
}

// ------------------------------------------------------------------ all explorers of the page

function mountAll() {
  const taken = new Set();
  document.querySelectorAll(".explorer[data-explorer]").forEach((root) => {
    let id = root.dataset.explorer;
    for (let n = 2; taken.has(id) || document.getElementById(id); n += 1) id = `${root.dataset.explorer}-${n}`;
    taken.add(id);
    new Mount(root, id);
  });
}

if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", mountAll);
else mountAll();
