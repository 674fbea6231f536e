// Quizzes: what a reader chose or typed is compared with the answers that stand in the page. A plain script
// without requests, so that a page opened from disk works too. Nothing leaves the browser; the answers stay
// for as long as the tab is open.

"use strict";
(() => {
  const STORE = `quiz ${location.pathname}`;
  const NUMBER = /^([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)(?:\/(\d+\.?\d*))?$/i;

  /** 0.25, 0,25, 1/4 and 2.5e-1 as a number; NaN for anything else. */
  function number(text) {
    const found = NUMBER.exec(text.replace(/\s/g, "").replaceAll("−", "-").replaceAll(",", "."));
    return found ? Number(found[1]) / Number(found[2] ?? 1) : NaN;
  }

  function element(tag, className, text = "") {
    const node = document.createElement(tag);
    node.className = className;
    node.textContent = text;
    return node;
  }

  // Some browsers refuse storage to pages opened from disk: then answers last until the page is left.
  function load() {
    try { return JSON.parse(sessionStorage.getItem(STORE)) ?? {}; } catch { return {}; }
  }

  function save(answers) {
    try { sessionStorage.setItem(STORE, JSON.stringify(answers)); } catch { /* as above */ }
  }

  // A formula that is too wide scrolls in its box, and only such a box is a stop for the keyboard. The book sees
  // to that where formulas stand from the beginning; this is for those in feedback.
  const formulas = new ResizeObserver((entries) => entries.forEach(({ target }) => {
    const wide = { tabindex: 0, role: "group", "aria-label": "Wide formula, scrolls sideways" };
    const scrolls = target.scrollWidth > target.clientWidth;
    for (const [name, value] of Object.entries(wide)) {
      if (scrolls) target.setAttribute(name, value);
      else target.removeAttribute(name);
    }
  }));

  class Question {
    constructor(root, changed) {
      this.root = root;
      this.changed = changed;
      this.inputs = [...root.querySelectorAll("input")];
      this.answers = [...root.querySelectorAll(".quiz-answers li")];
      this.status = root.querySelector(".quiz-feedback");
      this.button = root.querySelector(".quiz-check");
      this.button.hidden = false;
      this.button.addEventListener("click", () => this.check());
      root.addEventListener("input", () => this.clear());
      root.addEventListener("keydown", (event) => {
        if (event.key === "Enter" && event.target.matches("input")) this.check();
      });
    }

    get right() { return this.root.dataset.result === "right"; }

    /** What the reader gave: the text of a number, or the indices of what is ticked. */
    get given() {
      if (this.root.dataset.kind === "number") return this.inputs[0].value.trim();
      return this.inputs.filter((input) => input.checked).map((input) => input.value);
    }

    set given(value) {
      if (this.root.dataset.kind === "number") this.inputs[0].value = value;
      else this.inputs.forEach((input) => { input.checked = value.includes(input.value); });
    }

    /** A changed answer is not judged until it is checked. */
    clear() {
      delete this.root.dataset.result;
      this.root.querySelectorAll("[data-verdict]:not(li)").forEach((node) => delete node.dataset.verdict);
      this.status.replaceChildren();
      this.changed();
    }

    check() {
      if (!this.given.length) return this.say("", "Choose or write an answer first.");
      if (this.root.dataset.kind === "number") this.#checkNumber();
      else this.#checkChoice();
      this.changed();
    }

    #checkNumber() {
      const value = number(this.given);
      if (!Number.isFinite(value)) return this.say("", "This is not a number. Write it as 0.25 or 1/4.");
      const { answer, tolerance } = this.root.dataset;
      const near = (other) => Math.abs(value - Number(other)) <= Number(tolerance) + 1e-12;
      const right = near(answer);
      const found = right
        ? this.answers.find((item) => item.dataset.verdict === "right")
        : this.answers.find((item) => item.dataset.value && near(item.dataset.value)) ??
          this.answers.find((item) => item.dataset.verdict === "wrong" && !item.dataset.value);
      this.say(right ? "right" : "wrong", right ? "✓ Right." : "✗ Not right.", [found]);
    }

    #checkChoice() {
      const ticked = this.given.map((index) => this.answers[Number(index)]);
      const wrong = ticked.filter((item) => item.dataset.verdict === "wrong");
      const hits = ticked.length - wrong.length;
      const missing = this.answers.filter((item) => item.dataset.verdict === "right").length - hits;
      const right = !wrong.length && !missing;
      let verdict = right ? "✓ Right." : "✗ Not right.";
      if (this.root.dataset.kind === "several" && !right) {
        verdict += ` Right among what you chose: ${hits} of ${ticked.length}.`;
        if (missing) verdict += " A right answer is not chosen yet.";
      }
      ticked.forEach((item) => {
        const label = this.inputs[Number(item.dataset.option)].closest("label");
        label.dataset.verdict = item.dataset.verdict;
      });
      this.say(right ? "right" : "wrong", verdict, ticked);
    }

    /** Verdict and reasons, in the region that screen readers announce. */
    say(result, verdict, items = []) {
      if (result) this.root.dataset.result = result;
      const reasons = items.map((item) => {
        const reason = element("div", "quiz-reason");
        if (items.length > 1) reason.append(element("strong", "quiz-verdict", `${this.#name(item)} `));
        reason.append(...item.querySelector(".quiz-reason").cloneNode(true).childNodes);
        return reason;
      });
      this.status.replaceChildren(element("p", "quiz-verdict", verdict), ...reasons);
      this.status.querySelectorAll(".math").forEach((formula) => formulas.observe(formula));
    }

    #name(item) {
      return item.querySelector(".quiz-verdict").textContent;
    }
  }

  class Quiz {
    constructor(roots) {
      this.questions = roots.map((root) => new Question(root, () => this.count()));
      this.tally = element("p", "quiz-count");
      this.tally.setAttribute("role", "status");
      const again = element("button", "quiz-again", "Try again");
      again.type = "button";
      again.addEventListener("click", () => this.again());
      const box = element("section", "quiz-tally");
      box.setAttribute("aria-label", "Your result");
      box.append(this.tally, again);
      roots.at(-1).after(box);
      this.restore(load());
    }

    count() {
      const right = this.questions.filter((question) => question.right).length;
      const words = `${right} of ${this.questions.length} right`;
      if (this.tally.textContent !== words) this.tally.textContent = words; // said once
      if (this.restoring) return;
      save(Object.fromEntries(this.questions.map(({ root, given }) => [root.id, [given, root.dataset.result]])));
    }

    restore(stored) {
      this.restoring = true;
      for (const question of this.questions) {
        const [given, result] = stored[question.root.id] ?? [];
        if (given?.length) question.given = given;
        if (result) question.check();
      }
      this.count();
      this.restoring = false;
    }

    again() {
      for (const question of this.questions) {
        question.given = [];
        question.clear();
      }
      this.questions[0].inputs[0].focus();
    }
  }

  function start() {
    const roots = [...document.querySelectorAll(".quiz-question")];
    if (!roots.length) return;
    document.documentElement.classList.add("quiz-live");
    new Quiz(roots);
    // on paper all answers can be read, answered or not
    const folded = () => document.querySelectorAll("details.quiz-answers");
    addEventListener("beforeprint", () => folded().forEach((list) => {
      list.dataset.was = list.open ? "open" : "";
      list.open = true;
    }));
    addEventListener("afterprint", () => folded().forEach((list) => { list.open = Boolean(list.dataset.was); }));
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
