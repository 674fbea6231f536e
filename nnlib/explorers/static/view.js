/**
 * The view: draws the frames of an explorer, the same way in a notebook and in a page.
 *
 * A frame is the JSON of `Explorer.frame()`; what each kind of panel holds is said in `panels.py`.
 * Nothing is learned or derived here: the view knows scales, ticks, colours and level lines, no more.
 * One module without dependencies; its only `export` is the last line, so that a page opened from disk
 * can use it as a classic script.
 */

// ---------------------------------------------------------------------------------------------------
// Elements, numbers, scales

const SVG = "http://www.w3.org/2000/svg";
const DASHES = ["", "7 4", "9 3 2 3", "2 3", "14 4", "5 2 1 2 1 2"];
const SHAPES = ["circle", "square", "triangle", "diamond", "down", "cross"];
const MOST_UNITS = 16; // drawn in one layer
const MOST_NUMBERS = 12; // lines whose numbers are written beside them

/** Make an element; attributes that are null are left out, texts become text nodes. */
function el(tag, attributes = {}, ...children) {
  const made = tag.startsWith("svg:") ? document.createElementNS(SVG, tag.slice(4)) : document.createElement(tag);
  set(made, attributes);
  made.append(...children);
  return made;
}

/** Set what has changed. */
function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined) element.removeAttribute(name);
    else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
  }
}

function say(element, words) {
  if (element.textContent !== words) element.textContent = words;
}

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const finite = (value) => typeof value === "number" && Number.isFinite(value);
const minus = (text) => text.replace(/-/g, "−");

/** Write a number with so many significant digits; a text stays as it is, what is not a number is a dash. */
function write(value, digits = 3) {
  if (typeof value === "string") return value;
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (!finite(value)) return "–";
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return minus(String(value));
  const size = Math.abs(value);
  if (size >= 10 ** Math.max(digits, 5) || size < 1e-4)
    return minus(value.toExponential(digits - 1).replace(/\.?0+e/, "e").replace("e+", "e"));
  return minus(String(Number(value.toPrecision(digits))));
}

/** 10 to a whole power, written out or as a power. */
function power(exponent, plain) {
  if (plain) return String(Number(`1e${exponent}`));
  return "10" + String(exponent).replace(/./g, (sign) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[sign] ?? "⁻");
}

/**
 * A scale with its ticks.
 * @param {number[]} values what must fit, unless limits are given
 * @param {boolean} log
 * @param {?number[]} limits
 * @param {number} room about how many ticks there is room for
 */
function scale(values, log, limits, room) {
  let low = Infinity, high = -Infinity;
  for (const value of limits ?? values) {
    if (!finite(value) || (log && value <= 0)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (low > high) [low, high] = log ? [0.1, 10] : [0, 1];
  if (low === high) [low, high] = log ? [low / 2, high * 2] : [low - (Math.abs(low) * 0.1 || 0.5), high + (Math.abs(high) * 0.1 || 0.5)];
  const bend = log ? Math.log10 : (value) => value;
  let [from, to] = [bend(low), bend(high)];
  const ticks = log ? logTicks(from, to, room) : evenTicks(from, to, room);
  return { ticks, low, high, at: (value) => (log && value <= 0 ? NaN : (bend(value) - from) / (to - from)) };
}

function evenTicks(from, to, room) {
  const rough = (to - from) / Math.max(room, 1);
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = unit * [1, 2, 5, 10].find((factor) => factor * unit >= rough * 0.999);
  const places = clamp(-Math.floor(Math.log10(step) + 1e-9), 0, 12);
  const ticks = [];
  for (let i = Math.ceil(from / step - 1e-9); i * step <= to + step * 1e-9 && ticks.length < 50; i++) {
    const value = i * step, big = Math.abs(value) >= 1e5 || places > 5;
    ticks.push({ value, label: value === 0 ? "0" : big ? write(value, 3) : minus(value.toFixed(places)) });
  }
  return ticks;
}

function logTicks(from, to, room) {
  const first = Math.ceil(from - 1e-9), last = Math.floor(to + 1e-9);
  if (last - first < 1) {
    const between = [];
    for (let e = Math.floor(from); e <= to; e++)
      for (const factor of [1, 2, 5]) {
        const value = Number(`${factor}e${e}`), place = Math.log10(value);
        if (place >= from - 1e-9 && place <= to + 1e-9) between.push({ value, label: write(value, 2) });
      }
    return between.length ? between : [{ value: 10 ** from, label: write(10 ** from, 2) }];
  }
  const step = Math.max(1, Math.ceil((last - first) / Math.max(room, 1))), ticks = [];
  const plain = first >= -3 && last <= 4;
  for (let e = Math.ceil(first / step) * step; e <= last; e += step) ticks.push({ value: 10 ** e, label: power(e, plain) });
  return ticks;
}

// ---------------------------------------------------------------------------------------------------
// Colours

/** Read the colours of the present theme from the style sheet. */
function readColours(element) {
  const style = getComputedStyle(element);
  const read = (name) => style.getPropertyValue(`--ex-${name}`).trim() || "#808080";
  const colours = { font: style.fontFamily || "sans-serif", series: [1, 2, 3, 4, 5, 6].map((i) => read(`c${i}`)), tables: {} };
  for (const name of ["ground", "ink", "muted", "grid", "rim", "low", "mid", "high", "seq0", "seq1", "seq2", "paper", "pen"])
    colours[name] = read(name);
  return colours;
}

const pick = (list, index) => list[(((index ?? 0) % list.length) + list.length) % list.length];

function rgb(colour) {
  const hex = colour.replace("#", "");
  const full = hex.length === 3 ? [...hex].map((digit) => digit + digit).join("") : hex;
  return [0, 2, 4].map((at) => parseInt(full.slice(at, at + 2), 16));
}

const mix = (a, b, share) => a.map((channel, i) => Math.round(channel + (b[i] - channel) * share));

/** 256 colours of a palette, each [r, g, b]; "field" is a paler "diverging", for the ground of points. */
function table(colours, palette) {
  if (colours.tables[palette]) return colours.tables[palette];
  let [low, mid, high] = {
    sequential: [colours.seq0, colours.seq1, colours.seq2],
    gray: [colours.paper, mixed(colours.paper, colours.pen), colours.pen],
  }[palette]?.map(rgb) ?? [colours.low, colours.mid, colours.high].map(rgb);
  if (palette === "field") [low, high] = [mix(mid, low, 0.62), mix(mid, high, 0.62)];
  const made = Array.from({ length: 256 }, (_, i) =>
    i < 127.5 ? mix(low, mid, i / 127.5) : mix(mid, high, (i - 127.5) / 127.5));
  return (colours.tables[palette] = made);
}

const mixed = (a, b) => "#" + mix(rgb(a), rgb(b), 0.5).map((c) => c.toString(16).padStart(2, "0")).join("");
const css = (channels) => `rgb(${channels.join(",")})`;

function luminance(channels) {
  const [r, g, b] = channels.map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** Black or white, whichever reads better on this ground. */
const inkOn = (channels) => (luminance(channels) > 0.179 ? "#000" : "#fff");

/** The colour of a value on a scale from `low` to `high`. */
const shade = (colours, palette, value, low, high) =>
  table(colours, palette)[Math.round(clamp(high > low ? (value - low) / (high - low) : 0.5, 0, 1) * 255)];

// ---------------------------------------------------------------------------------------------------
// Pictures of numbers

const decoded = new WeakMap();

/** The bytes of an encoded picture. */
function bytes(shades) {
  let made = decoded.get(shades);
  if (!made) decoded.set(shades, (made = Uint8Array.from(atob(shades.u8), (sign) => sign.charCodeAt(0))));
  return made;
}

/** Paint a picture on a canvas, one pixel a number. */
function paint(canvas, shades, colours, palette) {
  const [height, width] = shades.shape;
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  const context = canvas.getContext("2d"), image = context.createImageData(width, height);
  const of = table(colours, palette), data = bytes(shades);
  for (let i = 0, j = 0; i < data.length; i++, j += 4) {
    const colour = of[data[i]];
    image.data[j] = colour[0];
    image.data[j + 1] = colour[1];
    image.data[j + 2] = colour[2];
    image.data[j + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

/** Marching squares: call `line(x0, y0, x1, y1)`, in cells from the top left, for each piece of a level line. */
function levelLine(shades, level, line) {
  const [rows, columns] = shades.shape, data = bytes(shades);
  const threshold = ((level - shades.low) / (shades.high - shades.low || 1)) * 255;
  const inside = (value) => value >= threshold;
  const cut = (a, b) => (threshold - a) / (b - a);
  for (let i = 0; i + 1 < rows; i++)
    for (let j = 0; j + 1 < columns; j++) {
      const at = i * columns + j;
      const a = data[at], b = data[at + 1], c = data[at + columns + 1], d = data[at + columns]; // clockwise
      const sum = inside(a) + inside(b) + inside(c) + inside(d);
      if (sum === 0 || sum === 4) continue;
      const cuts = [];
      if (inside(a) !== inside(b)) cuts.push([j + cut(a, b), i]);
      if (inside(b) !== inside(c)) cuts.push([j + 1, i + cut(b, c)]);
      if (inside(c) !== inside(d)) cuts.push([j + cut(d, c), i + 1]);
      if (inside(d) !== inside(a)) cuts.push([j, i + cut(a, d)]);
      if (cuts.length === 4 && inside(a) !== inside((a + b + c + d) / 4)) cuts.push(cuts.shift()); // a saddle
      for (let k = 0; k + 1 < cuts.length; k += 2) line(...cuts[k], ...cuts[k + 1]);
    }
}

/** The outline of a mark around (0, 0), as the `d` of an SVG path; a canvas draws it as a Path2D. */
function outline(shape, r) {
  const q = r * 0.9, t = r * 1.15, k = r * 0.4;
  return {
    circle: `M${-r} 0A${r} ${r} 0 1 1 ${r} 0A${r} ${r} 0 1 1 ${-r} 0Z`,
    square: `M${-q} ${-q}H${q}V${q}H${-q}Z`,
    triangle: `M0 ${-t}L${t} ${q}H${-t}Z`,
    diamond: `M0 ${-t * 1.1}L${t} 0L0 ${t * 1.1}L${-t} 0Z`,
    down: `M0 ${t}L${t} ${-q}H${-t}Z`,
    cross: `M${-k} ${-t}H${k}V${-k}H${t}V${k}H${k}V${t}H${-k}V${k}H${-t}V${-k}H${-k}Z`,
  }[shape];
}

/** Size a canvas in CSS pixels and return its context, scaled for the screen. */
function canvasContext(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

// ---------------------------------------------------------------------------------------------------
// Parts that several kinds share

/** A legend: entries {name, index, line, mark, hollow}. */
function legend(p, entries) {
  const named = entries.filter((entry) => entry.name);
  const key = JSON.stringify(named);
  p.state.legend ??= el("ul", { class: "explorer-legend" });
  if (!p.state.legend.isConnected) p.body.prepend(p.state.legend);
  if (p.state.legendKey === key && p.state.legendColours === p.colours) return;
  p.state.legendKey = key;
  p.state.legendColours = p.colours;
  p.state.legend.hidden = !named.length;
  p.state.legend.replaceChildren(...named.map((entry) => {
    const colour = pick(p.colours.series, entry.index);
    const sample = el("svg:svg", { width: 24, height: 14, viewBox: "-12 -7 24 14", "aria-hidden": "true" });
    if (entry.line) sample.append(el("svg:path", { d: "M-11 0H11", stroke: colour, "stroke-width": 2.2, "stroke-dasharray": pick(DASHES, entry.index), fill: "none" }));
    if (entry.mark) sample.append(mark(p, entry.index, 4.5, entry.hollow));
    return el("li", {}, sample, entry.name);
  }));
}

function mark(p, index, r, hollow = false) {
  const colour = pick(p.colours.series, index);
  return el("svg:path", { d: outline(pick(SHAPES, index), r), fill: hollow ? p.colours.ground : colour, stroke: hollow ? colour : p.colours.rim, "stroke-width": hollow ? 1.6 : 1 });
}

/** What the shades of a picture mean: low, the palette, high. */
function colourKey(p, shades, palette) {
  p.state.key ??= el("div", { class: "explorer-key" }, el("span"), el("i", { "aria-hidden": "true" }), el("span"));
  if (!p.state.key.isConnected) p.body.append(p.state.key);
  p.state.key.hidden = !shades;
  if (!shades) return;
  const [low, bar, high] = p.state.key.children;
  say(low, write(shades.low, 2));
  say(high, write(shades.high, 2));
  set(bar, { "data-palette": palette });
}

// ---------------------------------------------------------------------------------------------------
// The kinds of panels. Each draws `p.data` into `p.body`, which is `p.width` pixels wide, and keeps what
// it wants to find again in `p.state`.

const KINDS = {};

KINDS.curves = (p) => {
  const { series, xlabel = "", ylabel = "", xlog, ylog, marks = [] } = p.data;
  const height = Math.round(clamp(p.width * (p.width > 520 ? 0.42 : 0.62), 150, 300));
  const x = scale([...series.flatMap((line) => line.x), ...(p.data.xlim ? [] : marks.map(([at]) => at))], xlog, p.data.xlim, clamp(p.width / 75, 2, 8));
  const heights = series.flatMap((line) => line.y);
  const y = scale(heights, ylog, p.data.ylim, clamp(height / 42, 2, 7));
  const left = 12 + 6.3 * Math.max(1, ...y.ticks.map((tick) => tick.label.length));
  const [top, right, bottom] = [ylabel ? 20 : 8, 12, xlabel ? 34 : 20];
  const [w, h] = [Math.max(20, p.width - left - right), height - top - bottom];
  const pad = p.data.ylim ? 0 : 0.04;
  const px = (value) => x.at(value) * w, py = (value) => h - (y.at(value) * (1 - 2 * pad) + pad) * h;

  legend(p, series.length > 1 ? series.map((line, index) => ({ name: line.name, index, line: !line.points, mark: line.points })) : []);
  const state = p.state;
  if (!state.svg) {
    state.svg = el("svg:svg", { role: "img" });
    p.body.append(state.svg);
  }
  const key = JSON.stringify([p.width, x.ticks, x.low, x.high, y.ticks, y.low, y.high, xlabel, ylabel, marks, series.map((line) => [line.name, line.points])]);
  if (state.axes !== key || state.colours !== p.colours) {
    state.axes = key;
    state.colours = p.colours;
    set(state.svg, { width: p.width, height, viewBox: `0 0 ${p.width} ${height}` });
    const grid = el("svg:g", { transform: `translate(${left} ${top})`, class: "explorer-axes" });
    for (const tick of y.ticks) {
      grid.append(el("svg:path", { d: `M0 ${py(tick.value)}H${w}` }));
      grid.append(el("svg:text", { x: -6, y: py(tick.value), dy: "0.34em", "text-anchor": "end" }, tick.label));
    }
    for (const tick of x.ticks) {
      grid.append(el("svg:path", { d: `M${px(tick.value)} 0V${h}` }));
      grid.append(el("svg:text", { x: px(tick.value), y: h + 14, "text-anchor": "middle" }, tick.label));
    }
    grid.append(el("svg:path", { d: `M0 0V${h}H${w}`, class: "explorer-frame" }));
    if (xlabel) grid.append(el("svg:text", { x: w / 2, y: h + 29, "text-anchor": "middle" }, xlabel));
    if (ylabel) grid.append(el("svg:text", { x: 6 - left, y: -8 }, ylabel));
    // An inner svg cuts off what lies outside of the axes, but for half a mark.
    const inner = el("svg:svg", { x: left - 5, y: top - 5, width: w + 10, height: h + 10, viewBox: `-5 -5 ${w + 10} ${h + 10}` });
    state.lines = series.map((line, index) => {
      const colour = pick(p.colours.series, index);
      return el("svg:path", line.points
        ? { fill: colour, stroke: p.colours.ground, "stroke-width": 0.8 }
        : { fill: "none", stroke: colour, "stroke-width": 2, "stroke-dasharray": pick(DASHES, index), "stroke-linejoin": "round", "stroke-linecap": "round" });
    });
    inner.append(...state.lines, ...drawMarks(marks, px, w, h));
    state.svg.replaceChildren(grid, inner);
  }
  const told = [];
  series.forEach((line, index) => {
    let d = "", pen = false, last = null, drawn = 0, only = "";
    for (let i = 0; i < line.x.length; i++) {
      const [a, b] = [line.x[i], line.y[i]];
      const [u, v] = [finite(a) ? px(a) : NaN, finite(b) ? py(b) : NaN];
      if (!finite(u) || !finite(v)) {
        pen = false;
        continue;
      }
      last = b;
      drawn += 1;
      only = spot("circle", u, v);
      if (line.points) d += spot(pick(SHAPES, index), u, v);
      else d += `${pen ? "L" : "M"}${u.toFixed(1)} ${v.toFixed(1)}`;
      pen = true;
    }
    set(state.lines[index], { d: drawn === 1 ? only : d });
    told.push(last === null ? `${line.name}: nothing yet` : `${line.name}: ${write(last)}`);
  });
  set(state.svg, { "aria-label": `${p.data.title}: ${ylabel ? `${ylabel} ` : ""}over ${xlabel || "x"}. Last values: ${told.join("; ") || "none"}.` });
};

/** A mark at (u, v), for a path that holds many. */
function spot(shape, u, v) {
  const [x, y] = [u.toFixed(1), v.toFixed(1)];
  if (shape === "square") return `M${x} ${y}m-3-3h6v6h-6z`;
  if (shape === "circle") return `M${x} ${y}m-3.4 0a3.4 3.4 0 1 1 6.8 0a3.4 3.4 0 1 1-6.8 0z`;
  if (shape === "triangle") return `M${x} ${y}m0-4.4l4.2 7.2h-8.4z`;
  return `M${x} ${y}m0-4.4l4.4 4.4l-4.4 4.4l-4.4-4.4z`;
}

/** Vertical lines with their labels; a label takes the first row in which it does not cover another. */
function drawMarks(marks, px, w, h) {
  const rows = [], lines = [], labels = [];
  for (const [at, label] of [...marks].sort((a, b) => a[0] - b[0])) {
    const u = px(at), long = 6 * label.length;
    if (!finite(u) || u < -1 || u > w + 1) continue;
    const before = u + long + 6 > w;
    const [from, to] = before ? [u - long - 8, u] : [u, u + long + 8];
    let row = rows.findIndex((end) => end <= from);
    if (row < 0) row = rows.length;
    rows[row] = to;
    lines.push(el("svg:path", { d: `M${u} 0V${h}`, class: "explorer-mark" }));
    labels.push(el("svg:text", { x: before ? u - 5 : u + 5, y: 11 + 13 * row, "text-anchor": before ? "end" : "start", class: "explorer-mark-label" }, label));
  }
  return [...lines, ...labels];
}

KINDS.plane = (p) => {
  const { extent, field, levels = [], points = [], paths = [], xlabel = "x₁", ylabel = "x₂", palette = "diverging", action } = p.data;
  const [x0, x1, y0, y1] = extent, state = p.state;
  const shape = (x1 - x0) / (y1 - y0), ratio = shape > 0.5 && shape < 2.2 ? shape : 1.3;
  const [left, right, top, bottom] = [40, 8, 8, 34];
  const h = Math.round(clamp((p.width - left - right) / ratio, 120, 380));
  const w = Math.round(Math.min(p.width - left - right, h * ratio));
  const across = scale([], false, [x0, x1], clamp(w / 60, 2, 7)), up = scale([], false, [y0, y1], clamp(h / 45, 2, 7));
  const px = (value) => left + across.at(value) * w, py = (value) => top + (1 - up.at(value)) * h;

  legend(p, [
    ...points.map((group, i) => ({ name: group.name, index: group.group ?? i, mark: true, hollow: group.hollow })),
    ...paths.map((path, i) => ({ name: path.name, index: path.group ?? i, line: true, mark: true })),
  ]);
  if (!state.canvas) {
    state.canvas = el("canvas", { role: "img" });
    state.small = document.createElement("canvas");
    state.area = el("div", { class: "explorer-plane" }, state.canvas);
    p.body.append(state.area);
  }
  colourKey(p, field, palette === "diverging" ? "field" : palette);
  if (!state.ready && action) makePointable(p);
  state.map = { left, top, w, h, extent };
  const context = canvasContext(state.canvas, left + w + right, top + h + bottom), colours = p.colours;
  context.save();
  context.beginPath();
  context.rect(left, top, w, h);
  context.clip();
  context.fillStyle = colours.ground;
  context.fillRect(left, top, w, h);
  if (field) {
    const [rows, columns] = field.shape;
    paint(state.small, field, colours, palette === "diverging" ? "field" : palette);
    context.imageSmoothingEnabled = true;
    // The outermost numbers lie on the edges: half a pixel of the small picture is outside on each side.
    const [cw, ch] = [w / Math.max(columns - 1, 1), h / Math.max(rows - 1, 1)];
    context.drawImage(state.small, left - cw / 2, top - ch / 2, cw * columns, ch * rows);
    levels.forEach((level, index) => {
      context.beginPath();
      levelLine(field, level, (a, b, c, d) => {
        context.moveTo(left + a * cw, top + b * ch);
        context.lineTo(left + c * cw, top + d * ch);
      });
      context.strokeStyle = colours.ink;
      context.globalAlpha = index ? 0.45 : 1;
      context.lineWidth = index ? 1 : 2.2;
      context.lineCap = "round";
      context.stroke();
      context.globalAlpha = 1;
    });
  } else {
    context.strokeStyle = colours.grid;
    context.lineWidth = 1;
    context.beginPath();
    for (const { value } of across.ticks) context.moveTo(px(value), top), context.lineTo(px(value), top + h);
    for (const { value } of up.ticks) context.moveTo(left, py(value)), context.lineTo(left + w, py(value));
    context.stroke();
  }
  paths.forEach((path, i) => drawPath(context, path, path.group ?? i, px, py, colours));
  const many = points.reduce((sum, group) => sum + group.x.length, 0);
  const r = many > 60 ? 3.4 : many > 20 ? 4.2 : 6.5;
  points.forEach((group, i) => {
    const index = group.group ?? i, form = new Path2D(outline(pick(SHAPES, index), r)), colour = pick(colours.series, index);
    context.fillStyle = group.hollow ? colours.ground : colour;
    context.strokeStyle = group.hollow ? colour : colours.rim;
    context.lineWidth = r > 5 ? 1.8 : 1;
    for (let k = 0; k < group.x.length; k++) {
      if (!finite(group.x[k]) || !finite(group.y[k])) continue;
      context.save();
      context.translate(px(group.x[k]), py(group.y[k]));
      context.fill(form);
      context.stroke(form);
      context.restore();
    }
  });
  if (state.cross) drawCross(context, px(state.cross[0]), py(state.cross[1]), colours);
  context.restore();
  context.strokeStyle = colours.muted;
  context.lineWidth = 1;
  context.strokeRect(left + 0.5, top + 0.5, w - 1, h - 1);
  context.fillStyle = colours.muted;
  context.font = `11px ${colours.font}`;
  context.textAlign = "center";
  context.textBaseline = "alphabetic";
  for (const { value, label } of across.ticks) context.fillText(label, px(value), top + h + 14);
  context.fillText(xlabel, left + w / 2, top + h + 29);
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const { value, label } of up.ticks) context.fillText(label, left - 5, clamp(py(value), top + 5, top + h - 5));
  context.save();
  context.translate(9, top + h / 2);
  context.rotate(-Math.PI / 2);
  context.textAlign = "center";
  context.fillText(ylabel, 0, 0);
  context.restore();
  const shown = [
    field && "shaded by value",
    field && levels.length && `a line at ${levels.map((level) => write(level)).join(", ")}`,
    ...points.map((group) => `${group.x.length} points ${group.name ?? ""}`),
    ...paths.map((path) => `path ${path.name ?? ""}`),
  ].filter(Boolean);
  set(state.canvas, { "aria-label": `${p.data.title}: ${xlabel} from ${write(x0)} to ${write(x1)}, ${ylabel} from ${write(y0)} to ${write(y1)}${shown.length ? `; ${shown.join("; ")}` : ""}.` });
};

function drawPath(context, path, index, px, py, colours) {
  context.beginPath();
  let pen = false, end = null;
  for (let k = 0; k < path.x.length; k++) {
    if (!finite(path.x[k]) || !finite(path.y[k])) {
      pen = false;
      continue;
    }
    end = [px(path.x[k]), py(path.y[k])];
    pen ? context.lineTo(...end) : context.moveTo(...end);
    pen = true;
  }
  context.lineJoin = context.lineCap = "round";
  context.strokeStyle = colours.ground;
  context.lineWidth = 4.5;
  context.stroke();
  context.strokeStyle = context.fillStyle = pick(colours.series, index);
  context.lineWidth = 2.2;
  context.setLineDash(pick(DASHES, index).split(" ").filter(Boolean).map(Number));
  context.stroke();
  context.setLineDash([]);
  if (!end) return;
  const form = new Path2D(outline(pick(SHAPES, index), 5.5));
  context.save();
  context.translate(...end);
  context.strokeStyle = colours.rim;
  context.lineWidth = 1.5;
  context.fill(form);
  context.stroke(form);
  context.restore();
}

function drawCross(context, u, v, colours) {
  context.beginPath();
  for (const reach of [[-14, -5], [5, 14]]) {
    context.moveTo(u + reach[0], v);
    context.lineTo(u + reach[1], v);
    context.moveTo(u, v + reach[0]);
    context.lineTo(u, v + reach[1]);
  }
  context.lineCap = "butt";
  context.strokeStyle = colours.ground;
  context.lineWidth = 4;
  context.stroke();
  context.strokeStyle = colours.ink;
  context.lineWidth = 1.8;
  context.stroke();
}

/** Let a reader choose a point of the plane, by pointer or by keyboard. */
function makePointable(p) {
  const { area } = p.state, where = el("p", { class: "explorer-where", "aria-live": "polite" });
  p.state.ready = true;
  area.classList.add("explorer-pointable");
  set(area, { tabindex: 0, role: "application", "aria-label": `${p.data.title}. Arrow keys move a cross hair, with Shift in small steps; Enter chooses the point.` });
  p.body.append(where);
  const tell = () => say(where, `${p.data.xlabel ?? "x₁"} ${write(p.state.cross[0], 3)}, ${p.data.ylabel ?? "x₂"} ${write(p.state.cross[1], 3)}`);
  area.addEventListener("click", (event) => {
    const { left, top, w, h, extent } = p.state.map, box = p.state.canvas.getBoundingClientRect();
    const u = (event.clientX - box.left - left) / w, v = (event.clientY - box.top - top) / h;
    if (u < 0 || u > 1 || v < 0 || v > 1) return;
    p.state.cross = [extent[0] + u * (extent[1] - extent[0]), extent[3] + v * (extent[2] - extent[3])];
    tell();
    p.act([...p.state.cross]);
    p.draw();
  });
  area.addEventListener("keydown", (event) => {
    const { extent } = p.state.map;
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!move && event.key !== "Enter") return;
    event.preventDefault();
    p.state.cross ??= [(extent[0] + extent[1]) / 2, (extent[2] + extent[3]) / 2];
    const part = event.shiftKey ? 200 : 40;
    if (move) p.state.cross = p.state.cross.map((value, i) =>
      clamp(value + (move[i] * (extent[2 * i + 1] - extent[2 * i])) / part, extent[2 * i], extent[2 * i + 1]));
    else p.act([...p.state.cross]);
    tell();
    p.draw();
  });
  area.addEventListener("blur", () => {
    p.state.cross = null;
    say(where, "");
    p.draw();
  });
}

KINDS.pictures = (p) => {
  const { images, titles = [], palette = "diverging", smooth } = p.data, state = p.state;
  if (!state.list) p.body.append((state.list = el("div", { class: "explorer-pictures" })));
  const count = Math.max(images.length, 1), wanted = count === 1 ? 200 : count <= 4 ? 62 : p.width < 240 ? 54 : 66;
  const most = clamp(Math.floor((p.width + 8) / (wanted + 8)), 1, count);
  const columns = Math.ceil(count / Math.ceil(count / most)); // rows of about one length
  set(state.list, { style: `grid-template-columns: repeat(${columns}, minmax(0, ${count === 1 ? 220 : 112}px))` });
  while (state.list.children.length > images.length) state.list.lastChild.remove();
  while (state.list.children.length < images.length)
    state.list.append(el("div", {}, el("canvas", { role: "img" }), el("span")));
  images.forEach((shades, i) => {
    const [canvas, title] = state.list.children[i].children;
    paint(canvas, shades, p.colours, palette);
    canvas.classList.toggle("explorer-crisp", !smooth);
    say(title, titles?.[i] ?? "");
    set(canvas, { "aria-label": `${p.data.title}, ${titles?.[i] || `picture ${i + 1}`}: ${shades.shape.join(" by ")} values from ${write(shades.low, 2)} to ${write(shades.high, 2)}` });
  });
  const same = images.length && images.every((shades) => shades.low === images[0].low && shades.high === images[0].high);
  colourKey(p, same && palette !== "gray" ? images[0] : null, palette);
};

KINDS.network = (p) => {
  const { sizes, weights, values, names, shows = "weights" } = p.data, { state, colours } = p;
  const shown = sizes.map((size) => (size > MOST_UNITS ? MOST_UNITS - 1 : size));
  const most = Math.max(...sizes.map((size) => Math.min(size, MOST_UNITS)));
  const edges = shown.slice(1).reduce((sum, size, i) => sum + size * shown[i], 0);
  const few = edges <= MOST_NUMBERS;
  const height = clamp(most * (few ? 66 : 40), few ? 150 : 170, 360);
  const r = clamp(height / most / 2 - 3, 4, few ? 20 : 13);
  const short = (name) => (name.length > 14 ? `${name.slice(0, 13)}…` : name);
  const nameOf = (layer, unit) => names?.[layer]?.[unit] ?? "";
  const room = (layer) => 10 + 6.4 * Math.max(0, ...Array.from({ length: shown[layer] }, (_, k) => short(nameOf(layer, k)).length));
  const left = r + room(0), right = p.width - r - room(sizes.length - 1);
  const at = (layer, unit) => [
    sizes.length === 1 ? (left + right) / 2 : left + ((right - left) * layer) / (sizes.length - 1),
    (height * (unit + 0.5 + (most - Math.min(sizes[layer], MOST_UNITS)) / 2)) / most,
  ];
  const key = JSON.stringify([p.width, sizes, names, shows, !!weights]);
  if (state.key !== key) {
    state.key = key;
    const lines = el("svg:g", { fill: "none" }), numbers = el("svg:g", { class: "explorer-edge-numbers" }), units = el("svg:g");
    state.edges = [];
    for (let layer = 0; layer + 1 < sizes.length; layer++)
      for (let i = 0; i < shown[layer]; i++)
        for (let j = 0; j < shown[layer + 1]; j++) {
          const [[a, b], [c, d]] = [at(layer, i), at(layer + 1, j)];
          const line = el("svg:path", { d: `M${(a + r).toFixed(1)} ${b.toFixed(1)}L${(c - r).toFixed(1)} ${d.toFixed(1)}` });
          // Where the lines of many units have parted, and not where those of one unit cross.
          const [n, m] = [shown[layer], shown[layer + 1]];
          const part = m >= n ? (n > 1 ? 0.84 - (0.42 * i) / (n - 1) : 0.5) : 0.22 + (0.3 * j) / Math.max(m - 1, 1);
          const number = few && weights ? el("svg:text", { x: a + r + (c - a - 2 * r) * part, y: b + (d - b) * part, dy: "0.34em", "text-anchor": "middle" }) : null;
          lines.append(line);
          if (number) numbers.append(number);
          state.edges.push({ layer, i, j, line, number });
        }
    state.units = [];
    sizes.forEach((size, layer) => {
      for (let unit = 0; unit < shown[layer]; unit++) {
        const [x, y] = at(layer, unit), outer = layer === 0 ? -1 : layer === sizes.length - 1 ? 1 : 0;
        const circle = el("svg:circle", { r }), number = el("svg:text", { dy: "0.34em", "text-anchor": "middle" });
        const node = el("svg:g", { transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})`, tabindex: -1, role: "img", class: "explorer-unit" }, circle);
        if (few) node.append(number);
        if (outer && nameOf(layer, unit)) node.append(el("svg:text", { x: outer * (r + 6), dy: "0.34em", "text-anchor": outer < 0 ? "end" : "start", class: "explorer-unit-name" }, short(nameOf(layer, unit))));
        units.append(node);
        state.units.push({ layer, unit, node, circle, number });
      }
      if (size > shown[layer]) {
        const [x, y] = at(layer, shown[layer]);
        units.append(el("svg:text", { x, y, dy: "0.34em", "text-anchor": "middle", class: "explorer-unit-name" }, `+${size - shown[layer]}`));
      }
    });
    if (!state.svg) makeNetwork(p);
    state.focus = clamp(state.focus ?? 0, 0, state.units.length - 1);
    set(state.svg, { width: p.width, height, viewBox: `0 0 ${p.width} ${height}`, "aria-label": `${p.data.title}: ${sizes.join(" – ")} units. Arrow keys go from unit to unit.` });
    state.svg.replaceChildren(lines, numbers, units);
    if (state.units.length) set(state.units[state.focus].node, { tabindex: 0 });
  }
  let widest = 0, largest = 0;
  for (const matrix of weights ?? []) for (const row of matrix) for (const value of row) if (finite(value)) widest = Math.max(widest, Math.abs(value));
  for (const layer of values ?? []) for (const value of layer ?? []) if (finite(value)) largest = Math.max(largest, Math.abs(value));
  for (const { layer, i, j, line, number } of state.edges) {
    const value = weights?.[layer]?.[i]?.[j], known = finite(value) && value !== 0;
    const share = known ? Math.abs(value) / widest : 0;
    set(line, {
      stroke: known ? (value > 0 ? colours.high : colours.low) : colours.muted,
      "stroke-width": (0.6 + (edges > 150 ? 2.6 : 4.4) * share).toFixed(2),
      "stroke-opacity": (edges > 150 ? 0.2 + 0.8 * share : 0.4 + 0.6 * share).toFixed(2),
      "stroke-dasharray": known && value < 0 ? "5 3" : null,
    });
    if (number) say(number, weights ? write(value, 2) : "");
  }
  for (const { layer, unit, node, circle, number } of state.units) {
    const value = values?.[layer]?.[unit];
    const fill = finite(value) ? shade(colours, "diverging", value, -(largest || 1), largest || 1) : rgb(colours.ground);
    set(circle, { fill: css(fill), stroke: colours.muted });
    if (number.parentNode) {
      say(number, finite(value) ? write(value, 2) : "");
      set(number, { fill: inkOn(fill) });
    }
    set(node, { "aria-label": unitWords(p, layer, unit) });
  }
  const positive = el("svg:path", { d: "M0 7H24", stroke: colours.high, "stroke-width": 3 });
  const negative = el("svg:path", { d: "M0 7H24", stroke: colours.low, "stroke-width": 3, "stroke-dasharray": "5 3" });
  const what = { gradients: "gradient dW", weights: "weight", activations: "weight" }[shows] ?? shows;
  const told = weights ? [shows, widest, largest, values?.some(Boolean)].join() : "none";
  if (state.told !== told || state.toldColours !== colours) {
    state.told = told;
    state.toldColours = colours;
    const sample = (line) => el("svg:svg", { width: 24, height: 14, "aria-hidden": "true" }, line);
    state.legend.replaceChildren();
    if (weights) state.legend.append(
      el("li", {}, `Lines: ${what}, thickest ${write(widest)}`),
      el("li", {}, sample(positive), "positive"), el("li", {}, sample(negative), "negative"));
    if (values?.some(Boolean)) state.legend.append(el("li", {}, `Circles: ${{ weights: "bias", gradients: "gradient" }[shows] ?? "output"}, strongest ${write(largest)}`));
  }
  if (state.told && state.readout.textContent) readUnit(p);
};

function unitWords(p, layer, unit) {
  const { sizes, values, names } = p.data, value = values?.[layer]?.[unit];
  const place = layer === 0 ? "input" : layer === sizes.length - 1 ? "output" : `hidden layer ${layer}, unit`;
  const name = names?.[layer]?.[unit];
  return `${name ? `${name} (${place} ${unit + 1})` : `${place} ${unit + 1}`}${finite(value) ? `: ${write(value)}` : ""}`;
}

/** Say the number of the unit under the pointer or the focus, and of the lines that lead to it. */
function readUnit(p) {
  const { layer, unit } = p.state.units[p.state.focus] ?? {};
  if (layer === undefined) return;
  const matrix = p.data.weights?.[layer - 1];
  const coming = matrix && matrix.length <= MOST_UNITS ? `; lines from the left: ${matrix.map((row) => write(row[unit], 2)).join(", ")}` : "";
  say(p.state.readout, unitWords(p, layer, unit) + coming);
}

function makeNetwork(p) {
  const { state } = p;
  state.svg = el("svg:svg", { role: "group", class: "explorer-network", tabindex: -1 }); // its listeners would make it a stop
  state.legend = el("ul", { class: "explorer-legend" });
  state.readout = el("p", { class: "explorer-where" });
  p.body.append(state.legend, state.svg, state.readout);
  const go = (index) => {
    set(state.units[state.focus]?.node ?? state.svg, { tabindex: -1 });
    state.focus = index;
    set(state.units[index].node, { tabindex: 0 });
    readUnit(p);
  };
  const find = (event) => state.units.findIndex(({ node }) => node.contains(event.target));
  for (const kind of ["focusin", "pointerover"])
    state.svg.addEventListener(kind, (event) => find(event) >= 0 && go(find(event)));
  for (const kind of ["focusout", "pointerleave"]) state.svg.addEventListener(kind, () => say(state.readout, ""));
  state.svg.addEventListener("keydown", (event) => {
    const { layer, unit } = state.units[state.focus];
    const [across, down] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ?? [0, 0];
    if (!across && !down) return;
    event.preventDefault();
    const there = state.units.filter((other) => other.layer === layer + across);
    const next = there[clamp(unit + down, 0, there.length - 1)];
    if (next) next.node.focus();
  });
}

KINDS.matrix = (p) => {
  const { values, rows, columns, digits = 3, heat, highlight = [], hidden = [], role, action, title } = p.data, { state } = p;
  const width = Math.max(0, ...values.map((row) => row.length));
  const key = JSON.stringify([values.length, width, rows, columns, role, title, action]);
  if (state.key !== key) {
    state.key = key;
    set(p.section, { "data-more": null });
    const body = el("tbody");
    state.cells = values.map((row, i) => {
      const line = el("tr", {}, ...(rows ? [el("th", { scope: "row" }, rows[i] ?? "")] : []));
      body.append(line);
      return row.map(() => line.appendChild(el("td")));
    });
    const head = columns ? [el("thead", {}, el("tr", {}, ...(rows ? [el("td")] : []), ...columns.map((name) => el("th", { scope: "col" }, name))))] : [];
    const caption = el("caption", { class: title.length + (role ? 9 : 0) < 24 ? "explorer-short" : null }, title, ...(role ? [" ", el("span", { class: "explorer-role" }, role)] : []));
    state.scroll = el("div", { class: "explorer-scroll" }, el("table", { class: `explorer-matrix${width > 7 ? " explorer-many" : ""}`, "data-role": role }, caption, ...head, body));
    p.body.replaceChildren(state.scroll);
  }
  const numbers = values.flat().filter(finite);
  const top = heat === "diverging" ? Math.max(0, ...numbers.map(Math.abs)) : Math.max(0, ...numbers);
  const bottom = heat === "diverging" ? -top : Math.min(0, ...numbers);
  const has = (list, i, j) => list.some(([a, b]) => a === i && b === j);
  values.forEach((row, i) => row.forEach((value, j) => {
    const cell = state.cells[i][j], concealed = has(hidden, i, j), empty = value === null || value === undefined;
    const words = concealed ? "?" : empty ? "" : write(value, digits);
    const where = `${rows?.[i] ?? `row ${i + 1}`}, ${columns?.[j] ?? `column ${j + 1}`}`;
    if (action && (concealed || !empty)) {
      let button = cell.firstElementChild;
      if (!button) {
        button = el("button", { type: "button" });
        button.addEventListener("click", () => p.act([i, j]));
        cell.replaceChildren(button);
      }
      say(button, words);
      set(button, { "aria-label": concealed ? `Reveal ${title}, ${where}` : `${title}, ${where}: ${words}` });
    } else say(cell, words);
    const framed = has(highlight, i, j);
    cell.className = [framed && "explorer-highlight", concealed && "explorer-hidden", typeof value === "string" && "explorer-words"].filter(Boolean).join(" ");
    const ground = heat && !concealed && finite(value) ? shade(p.colours, heat, value, bottom, top) : null;
    cell.style.background = ground ? css(ground) : "";
    cell.style.color = ground ? inkOn(ground) : "";
  }));
  p.after = () => {
    // Numbers that need more room get it, once: a panel that went back and forth would be worse.
    if (scrollable(state.scroll, title)) set(p.section, { "data-more": "" });
  };
};

/** A region that must scroll can be reached with the keyboard; one that need not is no stop. Returns which. */
function scrollable(region, title) {
  const must = region.scrollWidth > region.clientWidth + 1;
  set(region, must ? { tabindex: 0, role: "region", "aria-label": `${title}, scrolls sideways` } : { tabindex: null, role: null, "aria-label": null });
  return must;
}

KINDS.bars = (p) => {
  const { names, values, log, strong, digits = 3 } = p.data, { state } = p;
  if (!state.list) p.body.append((state.list = el("ul", { class: "explorer-bars" })), (state.note = el("p", { class: "explorer-note" })));
  while (state.list.children.length > names.length) state.list.lastChild.remove();
  while (state.list.children.length < names.length)
    state.list.append(el("li", {}, el("span", { class: "explorer-bar-name" }), el("span", { class: "explorer-track", "aria-hidden": "true" }, el("i")), el("b")));
  const numbers = values.filter(finite), positive = numbers.filter((value) => value > 0);
  const high = finite(p.data.high) ? p.data.high : Math.max(0, ...numbers.map(Math.abs)) || 1;
  const least = positive.length ? Math.min(...positive, high) : high / 10;
  const low = log ? 10 ** Math.floor(Math.log10(least) - 0.3) : numbers.some((value) => value < 0) ? -high : 0;
  const place = (value) => 100 * clamp(log ? (value > 0 ? Math.log(value / low) / Math.log(high / low) : 0) : (value - low) / (high - low), 0, 1);
  const zero = log ? 0 : place(0);
  names.forEach((name, i) => {
    const line = state.list.children[i], [label, track, number] = line.children, value = values[i];
    const end = finite(value) ? place(value) : zero;
    say(label, name);
    say(number, write(value, digits));
    set(line, { class: i === strong ? "explorer-strong" : null });
    set(track.firstChild, { style: `left:${Math.min(zero, end).toFixed(2)}%;width:${Math.abs(end - zero).toFixed(2)}%`, class: value < 0 ? "explorer-negative" : null });
    set(track, { style: low < 0 ? "--zero:50%" : null });
  });
  say(state.note, log ? `Logarithmic scale, from ${write(low, 2)} to ${write(high, 2)}` : "");
};

KINDS.histograms = (p) => {
  const { counts, titles, ranges } = p.data, { state } = p;
  if (!state.list) p.body.append((state.list = el("div", { class: "explorer-histograms" })));
  while (state.list.children.length > counts.length) state.list.lastChild.remove();
  while (state.list.children.length < counts.length)
    state.list.append(el("div", {}, el("span"), el("svg:svg", { viewBox: "0 0 100 50", preserveAspectRatio: "none", role: "img" }, el("svg:path")),
      el("div", {}, el("span"), el("span"))));
  counts.forEach((bins, i) => {
    const [title, svg, ends] = state.list.children[i].children, [low, high] = ranges[i];
    const most = Math.max(1e-9, ...bins.filter(finite)), step = 100 / Math.max(bins.length, 1);
    const d = bins.map((count, k) => (count > 0 ? `M${(k * step).toFixed(2)} 50V${(50 - (48 * count) / most).toFixed(2)}h${(step * 0.92).toFixed(2)}V50Z` : "")).join("");
    say(title, titles[i] ?? "");
    set(svg.firstChild, { d });
    say(ends.firstChild, write(low, 2));
    say(ends.lastChild, write(high, 2));
    const peak = bins.indexOf(most), middle = low + ((peak + 0.5) * (high - low)) / Math.max(bins.length, 1);
    set(svg, { "aria-label": `${p.data.title}, ${titles[i] ?? i + 1}: values from ${write(low, 2)} to ${write(high, 2)}${peak < 0 ? "" : `, most near ${write(middle, 2)}`}` });
  });
};

KINDS.formula = (p) => {
  const { latex, label = "", numbers = "" } = p.data, { state } = p;
  if (!state.maths) {
    state.maths = el("div", { class: "explorer-maths" });
    state.label = el("code", { class: "explorer-label" });
    state.numbers = el("p", { class: "explorer-numbers" });
    p.body.append(state.maths, state.label, state.numbers);
  }
  const key = JSON.stringify([latex, label]);
  if (state.key !== key) {
    state.key = key;
    const box = el("div");
    state.maths.replaceChildren(box);
    if (p.host.typeset) p.host.typeset(box, latex, label);
    else box.append(el("code", {}, latex));
  }
  say(state.label, label);
  say(state.numbers, numbers);
  p.after = () => scrollable(state.maths, p.data.title || "Formula");
};

KINDS.text = (p) => {
  p.state.words ??= p.body.appendChild(el("p"));
  say(p.state.words, p.data.text);
};

KINDS.question = (p) => {
  const { prompt, feedback = "" } = p.data, { state } = p;
  if (!state.form) {
    state.input = el("input", { name: "prediction", type: "number", step: "any", required: "", autocomplete: "off" });
    state.prompt = el("span");
    state.feedback = el("p", { class: "explorer-feedback", "aria-live": "polite" });
    state.form = el("form", { class: "explorer-question" }, el("label", {}, state.prompt, state.input), el("button", { type: "submit" }, "Answer"));
    p.body.append(state.form, state.feedback);
    state.form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (finite(state.input.valueAsNumber)) p.act(state.input.valueAsNumber);
    });
  }
  if (state.asked !== undefined && state.asked !== prompt) state.input.value = "";
  state.asked = prompt;
  say(state.prompt, prompt);
  say(state.feedback, feedback);
};

// ---------------------------------------------------------------------------------------------------
// The pad to draw on

const SIDE = 112; // of the ink, in its own pixels
const PEN = 9;
const PAUSE = 100; // milliseconds between two pictures sent

KINDS.drawing = (p) => {
  if (!p.state.pad) makePad(p);
  set(p.state.pad, { "aria-label": `${p.data.title}: a pad to draw on. Draw with the pointer. Arrow keys move the pen, with Shift in small steps; Space puts it down or up; Home moves it to the centre; Delete clears.` });
};

function makePad(p) {
  const { state } = p;
  const canvas = el("canvas", { width: SIDE, height: SIDE, role: "img", "aria-label": "Your drawing" });
  const tip = el("span", { class: "explorer-pen", "aria-hidden": "true" });
  const clear = el("button", { type: "button" }, "Clear");
  state.pad = el("div", { class: "explorer-pad", tabindex: 0, role: "application" }, canvas, tip);
  p.body.append(state.pad, el("div", { class: "explorer-buttons" }, clear), el("p", { class: "explorer-where", "aria-live": "polite" }));
  const words = p.body.lastChild, ink = canvas.getContext("2d", { willReadFrequently: true });
  Object.assign(ink, { lineWidth: PEN, lineCap: "round", lineJoin: "round", strokeStyle: "#16181c", shadowColor: "#16181c", shadowBlur: 2 });
  let at = [SIDE / 2, SIDE / 2], down = false, sent = 0, timer = 0;

  const send = () => {
    clearTimeout(timer);
    timer = 0;
    sent = performance.now();
    const pixels = ink.getImageData(0, 0, SIDE, SIDE).data, raster = new Array(SIDE * SIDE);
    for (let i = 0; i < raster.length; i++) raster[i] = String.fromCharCode(pixels[4 * i + 3]);
    p.act({ shape: [SIDE, SIDE], u8: btoa(raster.join("")) });
  };
  const soon = () => (timer ||= setTimeout(send, Math.max(0, sent + PAUSE - performance.now())));
  const move = (to, draw) => {
    if (draw) {
      ink.beginPath();
      ink.moveTo(...at);
      ink.lineTo(to[0] + 0.01, to[1]); // a dot is a very short line
      ink.stroke();
      soon();
    }
    at = to;
    set(tip, { style: `left:${(100 * at[0]) / SIDE}%;top:${(100 * at[1]) / SIDE}%` });
  };
  const tell = () => {
    const [across, downwards] = at.map((value) => Math.round((100 * value) / SIDE));
    say(words, `Pen ${down === "key" ? "down" : "up"}, ${across} % across, ${downwards} % down.`);
  };
  const wipe = () => {
    clearTimeout(timer);
    timer = 0;
    ink.clearRect(0, 0, SIDE, SIDE);
    say(words, "Cleared.");
    p.act({});
  };
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * SIDE, ((event.clientY - box.top) / box.height) * SIDE];
  };
  state.pad.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    event.preventDefault();
    state.pad.focus({ focusVisible: false, preventScroll: true });
    state.pad.setPointerCapture(event.pointerId);
    say(words, "");
    down = event.pointerId;
    at = place(event);
    move(at, true);
  });
  state.pad.addEventListener("pointermove", (event) => {
    if (down !== event.pointerId) return;
    const passed = event.getCoalescedEvents?.() ?? [];
    for (const one of passed.length ? passed : [event]) move(place(one), true);
  });
  for (const kind of ["pointerup", "pointercancel"])
    state.pad.addEventListener(kind, (event) => {
      if (down !== event.pointerId) return;
      down = false;
      send();
    });
  state.pad.addEventListener("keydown", (event) => {
    const go = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    const length = event.shiftKey ? 1 : 4;
    if (go) move(at.map((value, i) => clamp(value + go[i] * length, 2, SIDE - 2)), down === "key");
    else if (event.key === " " && !event.repeat) {
      down = down === "key" ? false : "key";
      if (down) move(at, true);
      else send();
    } else if (event.key === "Home") move([SIDE / 2, SIDE / 2], false);
    else if (event.key === "Delete") wipe();
    else if (event.key !== " ") return;
    event.preventDefault();
    if (event.key !== "Delete") tell();
    state.pad.classList.toggle("explorer-pen-down", down === "key");
  });
  state.pad.addEventListener("blur", () => {
    if (down !== "key") return;
    down = false;
    tell();
    state.pad.classList.remove("explorer-pen-down");
    send();
  });
  clear.addEventListener("click", wipe);
  move(at, false);
}

// ---------------------------------------------------------------------------------------------------
// The view

const AT_MOST_EVERY = 2000; // milliseconds between two sentences for those who listen
const AT_REST = 300; // milliseconds without a frame

/**
 * Make a view inside an element.
 * @param {HTMLElement} root carries `data-step`, `data-loss` and `data-accuracy` of the frame shown last
 * @param {{act: function(string, *): void, typeset: ?function(HTMLElement, string, string): void}} host
 *   `act` is called when a reader asks for something; `typeset(element, latex, label)` shows a formula
 * @returns {{show: function(Object): void, destroy: function(): void}}
 */
function createView(root, host) {
  const message = el("p", { class: "explorer-message", role: "alert" });
  const grid = el("div", { class: "explorer-panels" });
  const status = el("p", { class: "explorer-status", role: "status", "aria-live": "polite" });
  const view = el("div", { class: "explorer-view" }, message, status, grid);
  root.append(view);
  let colours = null, panels = [], frame = null, scheduled = 0, told = -Infinity, telling = 0, hadLoss = false;

  const sizes = new ResizeObserver((entries) => {
    for (const { target, contentRect } of entries) {
      const panel = panels.find(({ body }) => body === target);
      if (!panel || Math.abs(panel.width - contentRect.width) < 1) continue;
      panel.width = contentRect.width;
      panel.draw();
      panel.after?.();
    }
  });

  function makePanel(data) {
    const title = el("p", { class: "explorer-panel-title" }), body = el("div", { class: "explorer-panel-body" });
    const section = el("div", { class: "explorer-panel", role: "group" }, title, body);
    const panel = { data, body, section, title, width: 0, colours: null, host, state: {}, after: null };
    panel.act = (value) => host.act(panel.data.action, value);
    panel.draw = () => {
      if (panel.width <= 0) return; // not on the screen: the observer draws it when it is
      panel.colours = colours ??= readColours(view); // only what is on the screen has colours
      KINDS[panel.data.kind](panel);
    };
    return panel;
  }

  function drawPanels(all) {
    const shown = frame.panels.filter(({ kind }) => kind in KINDS);
    while (panels.length > shown.length) drop(panels.pop());
    const fresh = [], changed = [];
    shown.forEach((data, index) => {
      let panel = panels[index];
      const same = panel && (panel.data === data || JSON.stringify(panel.data) === JSON.stringify(data));
      if (same && !all) return void (panel.data = data);
      if (!panel || panel.data.kind !== data.kind) {
        const made = makePanel(data);
        panel ? panel.section.replaceWith(made.section) : grid.append(made.section);
        if (panel) drop(panel);
        fresh.push((panel = panels[index] = made));
      } else changed.push(panel);
      panel.data = data;
      say(panel.title, data.kind === "matrix" ? "" : data.title);
      set(panel.section, { "data-kind": data.kind, "data-width": data.width, "aria-label": data.title || data.kind });
    });
    for (const panel of fresh) panel.width = panel.body.clientWidth;
    for (const panel of [...fresh, ...changed]) panel.draw();
    for (const panel of [...fresh, ...changed]) panel.after?.(); // reads the layout: once all are drawn
    for (const panel of fresh) sizes.observe(panel.body);
  }

  function drop(panel) {
    sizes.unobserve(panel.body);
    panel.section.remove();
  }

  function tell() {
    clearTimeout(telling);
    telling = 0;
    told = performance.now();
    say(status, frame.describe ?? "");
  }

  function flush() {
    scheduled = 0;
    drawPanels(false);
  }

  /** Show a frame: its numbers at once, its panels with the next picture of the screen. */
  function show(next) {
    const first = !frame;
    frame = next;
    hadLoss ||= finite(frame.loss);
    root.dataset.step = String(frame.step);
    root.dataset.loss = finite(frame.loss) ? String(frame.loss) : hadLoss && frame.message ? "nan" : "";
    root.dataset.accuracy = finite(frame.accuracy) ? String(frame.accuracy) : "";
    say(message, frame.message ?? "");
    if (first) flush();
    else scheduled ||= requestAnimationFrame(flush);
    const wait = told + AT_MOST_EVERY - performance.now();
    clearTimeout(telling);
    if (wait <= 0) tell();
    else telling = setTimeout(tell, Math.min(wait, AT_REST));
  }

  function repaint() {
    colours = null;
    if (frame) drawPanels(true);
  }

  const themes = new MutationObserver(repaint);
  themes.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  themes.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light"] });
  const onPaper = (printing) => () => {
    view.toggleAttribute("data-paper", printing);
    repaint();
  };
  const [before, after] = [onPaper(true), onPaper(false)];
  addEventListener("beforeprint", before);
  addEventListener("afterprint", after);

  function destroy() {
    cancelAnimationFrame(scheduled);
    clearTimeout(telling);
    sizes.disconnect();
    themes.disconnect();
    removeEventListener("beforeprint", before);
    removeEventListener("afterprint", after);
    view.remove();
  }

  return { show, destroy };
}

/**
 * Apply a difference of `recording.py`; the old value stays as it is.
 * @param {*} old
 * @param {?Object} change null, {"=": value}, {"+": tail} or {"~": {key: change}}
 */
function patch(old, change) {
  if (change === null || change === undefined) return old;
  if ("=" in change) return change["="];
  if ("+" in change) return [...old, ...change["+"]];
  const within = change["~"];
  if (Array.isArray(old)) return old.map((entry, i) => patch(entry, within[i]));
  const made = { ...old };
  for (const key of Object.keys(within)) made[key] = patch(old[key], within[key]);
  return made;
}

export { createView, patch };
