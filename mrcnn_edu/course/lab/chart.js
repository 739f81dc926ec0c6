// The ablation lab's chart: losses and scores while the runs learn, a dot for each finished seed,
// and the differences from the first setting with their intervals.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 340;
const HEIGHT = 210;
const MARGIN = { left: 40, right: 12, top: 24, bottom: 34 };
const ROW = 44; // pixels of a setting's row: its name, and its dots or bars below

function add(parent, name, attributes = {}, text = "") {
  const space = name === "svg" || parent.namespaceURI === SVG ? SVG : null;
  const element = space ? document.createElementNS(space, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.textContent = text;
  parent.append(element);
  return element;
}

// A few round numbers between low and high.
function ticks(low, high, n = 5) {
  const rough = (high - low) / n || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((f) => f * power).find((f) => f >= rough);
  const all = [];
  for (let v = Math.ceil(low / step) * step; v <= high + 1e-9; v += step) all.push(v);
  return all.map((v) => Number(v.toPrecision(6)));
}

function scale(low, high, from, to) {
  const width = high - low || 1;
  return (value) => from + ((value - low) / width) * (to - from);
}

function panel(parent, title, height, label) {
  const attributes = { viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": label };
  const svg = add(parent, "svg", attributes);
  add(svg, "text", { x: MARGIN.left, y: 14, class: "mrcnn-title" }, title);
  return svg;
}

function xAxis(svg, x, values, y, label) {
  for (const value of values) {
    add(svg, "line", { x1: x(value), x2: x(value), y1: MARGIN.top, y2: y, class: "mrcnn-grid" });
    add(svg, "text", { x: x(value), y: y + 13, "text-anchor": "middle" }, value);
  }
  add(svg, "text", { x: WIDTH - MARGIN.right, y: y + 27, "text-anchor": "end" }, label);
}

function drawCurves(parent, data, key, title) {
  const colors = Object.fromEntries(data.rows.map((row) => [row.setting, row.color]));
  const lines = data.lines.filter((line) => line[key].length);
  const svg = panel(parent, title, HEIGHT, `${title}: ${lines.length} runs`);
  const points = lines.flatMap((line) => line[key]);
  const bottom = HEIGHT - MARGIN.bottom;
  if (!points.length) {
    add(svg, "text", { x: WIDTH / 2, y: HEIGHT / 2, "text-anchor": "middle" }, "nothing yet");
    return;
  }
  const most = Math.max(...points.map((p) => p[0]));
  const highest = Math.max(...points.map((p) => p[1])) * 1.05 || 1;
  const x = scale(0, most, MARGIN.left, WIDTH - MARGIN.right);
  const y = scale(0, highest, bottom, MARGIN.top);
  xAxis(svg, x, ticks(0, most), bottom, "step");
  for (const value of ticks(0, highest, 4)) {
    const at = { x1: MARGIN.left, x2: WIDTH - MARGIN.right, y1: y(value), y2: y(value) };
    add(svg, "line", { ...at, class: "mrcnn-grid" });
    add(svg, "text", { x: MARGIN.left - 5, y: y(value) + 3, "text-anchor": "end" }, value);
  }
  for (const line of lines) {
    const path = line[key].map((p) => `${x(p[0]).toFixed(1)},${y(p[1]).toFixed(1)}`).join(" ");
    const color = colors[line.setting];
    const polyline = add(svg, "polyline", { points: path, fill: "none", stroke: color });
    add(polyline, "title", {}, `${line.setting}, seed ${line.seed}`);
    const [lastX, lastY] = line[key][line[key].length - 1];
    add(svg, "circle", { cx: x(lastX), cy: y(lastY), r: 2.5, fill: color });
  }
}

function drawDots(parent, data, pick) {
  const height = MARGIN.top + MARGIN.bottom + ROW * data.rows.length;
  const svg = panel(parent, `${data.score}: a dot is a seed; click it`, height, data.score);
  const values = data.rows.flatMap((row) => row.dots.map((dot) => dot[1]));
  const low = Math.min(0, ...values);
  const high = Math.max(5, ...values) * 1.08;
  const x = scale(low, high, MARGIN.left, WIDTH - MARGIN.right);
  xAxis(svg, x, ticks(low, high), height - MARGIN.bottom, data.score);
  data.rows.forEach((row, i) => {
    const y = MARGIN.top + ROW * (i + 0.65);
    add(svg, "text", { x: MARGIN.left, y: y - 16, class: "mrcnn-name" }, row.setting);
    if (row.dots.length) {
      const mean = row.dots.reduce((sum, dot) => sum + dot[1], 0) / row.dots.length;
      const at = { x1: x(mean), x2: x(mean), y1: y - 11, y2: y + 11 };
      add(svg, "line", { ...at, class: "mrcnn-mean" });
    }
    for (const [seed, score] of row.dots) {
      const name = `${row.setting}, seed ${seed}: ${score.toFixed(1)}`;
      const dot = add(svg, "circle", {
        cx: x(score), cy: y, r: 6, fill: row.color, class: "mrcnn-dot",
        tabindex: 0, role: "button", "aria-label": name,
        "data-setting": row.setting, "data-seed": seed,
      });
      add(dot, "title", {}, name);
      dot.addEventListener("click", () => pick(row.setting, seed));
      dot.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        event.stopPropagation();
        pick(row.setting, seed);
      });
    }
  });
}

function drawDifferences(parent, data) {
  const rows = data.rows.slice(1);
  const height = MARGIN.top + MARGIN.bottom + ROW * Math.max(1, rows.length);
  const first = data.rows[0].setting;
  const title = `minus ${first}: paired (thick), unpaired (thin)`;
  const svg = panel(parent, title, height, rows.map((row) => row.verdict).join("; "));
  const values = rows.flatMap((row) => [
    ...(row.paired ?? []), ...(row.unpaired ?? []), ...row.differences.map((pair) => pair[1]),
  ]);
  const reach = Math.max(2, ...values.map(Math.abs)) * 1.1;
  const x = scale(-reach, reach, MARGIN.left, WIDTH - MARGIN.right);
  xAxis(svg, x, ticks(-reach, reach), height - MARGIN.bottom, `difference in ${data.score}`);
  const zero = { x1: x(0), x2: x(0), y1: MARGIN.top, y2: height - MARGIN.bottom };
  add(svg, "line", { ...zero, class: "mrcnn-mean" });
  rows.forEach((row, i) => {
    const y = MARGIN.top + ROW * (i + 0.65);
    add(svg, "text", { x: MARGIN.left, y: y - 16, class: "mrcnn-name" }, row.setting);
    for (const [kind, width, shift] of [["unpaired", 1.5, 9], ["paired", 4, 2]]) {
      if (!row[kind]) continue;
      const [low, mean, high] = row[kind];
      const at = { x1: x(low), x2: x(high), y1: y + shift, y2: y + shift };
      add(svg, "line", { ...at, stroke: row.color, "stroke-width": width, "data-interval": kind });
      add(svg, "circle", { cx: x(mean), cy: y + shift, r: width, fill: row.color });
    }
    for (const [seed, value] of row.differences) {
      const dot = add(svg, "circle", { cx: x(value), cy: y - 6, r: 2.5, class: "mrcnn-pair" });
      add(dot, "title", {}, `seed ${seed}: ${value.toFixed(1)}`);
    }
  });
}

function render({ model, el }) {
  el.classList.add("mrcnn-lab-chart");
  let clicks = 0;
  const pick = (setting, seed) => {
    clicks += 1;
    model.set("picked", { setting, seed, click: clicks });
    model.save_changes();
  };
  const draw = () => {
    const data = model.get("data");
    const focused = el.contains(document.activeElement) ? document.activeElement.dataset : null;
    el.replaceChildren();
    if (!data.rows?.length) return;
    if (!data.lines.length && !data.rows.some((row) => row.dots.length)) {
      add(el, "p", {}, "Press run: the curves and the seeds will appear here.");
      return;
    }
    const columns = add(el, "div", { class: "mrcnn-panels" });
    drawCurves(columns, data, "loss", "loss, all parts together");
    drawCurves(columns, data, "score", `${data.score} on a few images`);
    drawDots(columns, data, pick);
    if (data.rows.length > 1) drawDifferences(columns, data);
    const verdicts = add(el, "ul", { class: "mrcnn-verdicts" });
    for (const row of data.rows.slice(1)) add(verdicts, "li", {}, row.verdict);
    if (focused?.seed) {
      const same = [...el.querySelectorAll(".mrcnn-dot")].find(
        (dot) => dot.dataset.setting === focused.setting && dot.dataset.seed === focused.seed,
      );
      same?.focus();
    }
  };
  model.on("change:data", draw);
  draw();
}

export default { render };
