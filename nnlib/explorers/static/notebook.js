// What a notebook adds to view.js, which stands above this text: an anywidget whose model has the frame.

/** Let JupyterLab's own MathJax write a formula, if this is JupyterLab (or Notebook 7). */
function typesetter(model) {
  const notebook = model.widget_manager?.rendermime?.latexTypesetter;
  return notebook && ((element, latex) => {
    element.textContent = `$$${latex}$$`;
    notebook.typeset(element);
  });
}

function render({ model, el }) {
  const root = document.createElement("div");
  root.className = "explorer";
  root.dataset.explorer = model.get("explorer");
  root.dataset.state = "live";
  el.append(root);
  const act = (name, value) => model.send({ act: name, value });
  let view = null;
  const show = () => view?.show(JSON.parse(model.get("frame")));
  // A notebook puts the element on the screen later, and only then it has colours and a width.
  const placed = new ResizeObserver(() => {
    placed.disconnect();
    view = createView(root, { act, typeset: typesetter(model) });
    show();
  });
  placed.observe(el);
  // Arrow keys and Enter are for the explorer, controls included, and not shortcuts of the notebook.
  const keep = ({ target, ctrlKey, metaKey, altKey }) => {
    const ours = (root.closest(".widget-vbox") ?? root).contains(target);
    if (ours) target.toggleAttribute("data-lm-suppress-shortcuts", !ctrlKey && !metaKey && !altKey);
  };
  addEventListener("keydown", keep, true);
  model.on("change:frame", show);
  return () => {
    placed.disconnect();
    removeEventListener("keydown", keep, true);
    model.off("change:frame", show);
    view?.destroy();
  };
}

export default { render };
