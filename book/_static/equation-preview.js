// Hover, focus or tap a reference such as Eq. (5): its equation appears in place. Escape closes it.
(() => {
  const equations = window.courseEquations || {};
  let box = null;

  const label = (link) => (link.hash.startsWith("#equation-") ? link.hash.slice("#equation-".length) : null);

  const close = () => {
    if (!box) return;
    box.link.removeAttribute("aria-describedby");
    box.remove();
    box = null;
  };

  async function open(link) {
    const latex = equations[label(link)];
    if (!latex || (box && box.link === link) || !window.MathJax?.tex2svgPromise) return;
    close();
    const shown = document.createElement("div");
    shown.className = "equation-preview";
    shown.id = "equation-preview";
    shown.setAttribute("role", "tooltip");
    shown.link = link;
    box = shown;
    shown.append(await MathJax.tex2svgPromise(latex, { display: true }));
    if (box !== shown) return; // the pointer has moved on meanwhile
    document.body.append(shown);
    link.setAttribute("aria-describedby", shown.id);
    const at = link.getBoundingClientRect();
    const width = shown.offsetWidth;
    const left = Math.min(Math.max(8, at.left + at.width / 2 - width / 2), document.documentElement.clientWidth - width - 8);
    const above = at.top - shown.offsetHeight - 8;
    shown.style.left = `${left + window.scrollX}px`;
    shown.style.top = `${(above > 8 ? above : at.bottom + 8) + window.scrollY}px`;
  }

  const link = (event) => event.target.closest?.('a.reference[href*="#equation-"]');
  document.addEventListener("mouseover", (event) => (link(event) ? open(link(event)) : box && !event.target.closest(".equation-preview") && close()));
  document.addEventListener("focusin", (event) => (link(event) ? open(link(event)) : close()));
  document.addEventListener("keydown", (event) => event.key === "Escape" && close());
  // without a pointer that can hover, the first tap shows the equation and the second one goes there
  document.addEventListener("click", (event) => {
    const target = link(event);
    if (!target) return close();
    if (matchMedia("(hover: none)").matches && (!box || box.link !== target) && equations[label(target)]) {
      event.preventDefault();
      open(target);
    }
  });
})();
