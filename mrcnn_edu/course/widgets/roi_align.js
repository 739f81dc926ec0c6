// A RoI that the reader drags over a feature map, and what each operation reads from it.

const OPERATIONS = ["pool", "warp", "align"];
const OPERATION_NAMES = { pool: "RoIPool", warp: "RoIWarp", align: "RoIAlign" };
const SMALLEST = 8; // pixels along a side of the RoI
const GRID = 112; // pixels of the screen along a side of the outputs

// RoIPool's and RoIAlign's arithmetic, as in roi_ops: tests/test_touchables.py compares the two.

function roundHalfAway(value) {
  return Math.sign(value) * Math.floor(Math.abs(value) + 0.5);
}

// The positions that each bin reads along one axis, with their weights: [[{at, weight}, ...], ...].
// start, end: the RoI in positions of a map that has `length` of them.
function readAlong(operation, start, end, length, n) {
  const bins = Array.from({ length: n }, (_, p) => p);
  if (operation === "pool") {
    const [first, last] = [roundHalfAway(start), roundHalfAway(end)];
    const size = Math.fround(Math.max(last - first + 1, 1) / n);
    const clamp = (position) => Math.min(Math.max(position, 0), length);
    return bins.map((p) => {
      const low = clamp(Math.floor(Math.fround(p * size)) + first);
      const high = clamp(Math.ceil(Math.fround((p + 1) * size)) + first);
      return Array.from({ length: Math.max(high - low, 0) }, (_, i) => ({ at: low + i, weight: 1 }));
    });
  }
  const round = operation === "warp" ? roundHalfAway : (value) => value;
  const size = Math.max(round(end) - round(start), 1) / n;
  const points = (p) => [0.25, 0.75].map((part) => round(start) + (p + part) * size);
  return bins.map((p) => points(p).map((at) => ({ at, weight: 0.5 })));
}

// The value of a map between its positions.
function interpolate(map, y, x) {
  const [height, width] = [map.length, map[0].length];
  if (y < -1 || y > height || x < -1 || x > width) return 0;
  const [inY, inX] = [Math.min(Math.max(y, 0), height - 1), Math.min(Math.max(x, 0), width - 1)];
  const [top, left] = [Math.floor(inY), Math.floor(inX)];
  const [bottom, right] = [Math.min(top + 1, height - 1), Math.min(left + 1, width - 1)];
  const [dy, dx] = [inY - top, inX - left];
  const above = (1 - dx) * map[top][left] + dx * map[top][right];
  const below = (1 - dx) * map[bottom][left] + dx * map[bottom][right];
  return (1 - dy) * above + dy * below;
}

// What an operation pools from a map: {values: n rows of n, along: {x, y}}. box: in positions.
function poolRoi(operation, map, box, n) {
  const x = readAlong(operation, box[0], box[2], map[0].length, n);
  const y = readAlong(operation, box[1], box[3], map.length, n);
  const bin = (rows, columns) => {
    const read = rows.flatMap((row) => columns.map((column) => ({ row, column })));
    if (operation === "pool") {
      return read.length ? Math.max(...read.map(({ row, column }) => map[row.at][column.at])) : 0;
    }
    const parts = read.map(
      ({ row, column }) => row.weight * column.weight * interpolate(map, row.at, column.at),
    );
    return parts.reduce((sum, part) => sum + part, 0);
  };
  const values = y.map((rows) => x.map((columns) => bin(rows, columns)));
  return { values, along: { x, y } };
}

// How far the middle of what each bin reads is from the bin's center, in positions: the largest.
function largestError({ x, y }, box, n) {
  const errors = [[x, box[0], box[2]], [y, box[1], box[3]]].map(([bins, start, end]) =>
    bins.map((read, p) => {
      const middle = (read[0].at + read[read.length - 1].at) / 2;
      return Math.abs(middle - start - ((p + 0.5) * (end - start)) / n);
    }),
  );
  return Math.hypot(...errors.map((along) => Math.max(...along)));
}

function render({ model, el }) {
  const { left, panel, paper } = makeFrame(model, el, 0);
  const look = model.get("look");
  const tell = makeTeller(model);
  const [map, stride, n] = [model.get("map"), model.get("stride"), model.get("bins")];
  const origin = model.get("origin").map((position) => (position - 0.5) * stride);
  const help =
    "Drag the RoI to move it, or a corner to resize it; click a bin at the right to see what it " +
    "reads. With the keyboard, press Tab to reach the RoI or the bins: arrow keys move the RoI by " +
    "a pixel, arrow keys with Shift resize it, and on the bins they choose another one.";
  add(left, "p", { class: "mrcnn-hint" }, help);

  const { drawing } = paper;
  addDots(paper, model.get("origin"), stride, look);
  const layers = add(drawing, "g", { "pointer-events": "none" });
  const style = { color: look.proposal.color, ink: look.ink, smallest: SMALLEST };
  const held = addHeldBox(drawing, paper, style, () => onPaper(model.get("box")), change);
  const says = add(panel, "p", { class: "mrcnn-says mrcnn-long", "aria-live": "polite" });
  const outputs = add(panel, "div", { class: "mrcnn-controls" });
  const grids = OPERATIONS.map((operation) => addGrid(operation));
  const table = add(panel, "table");

  // The box in pixels of the paper.
  function onPaper(box) {
    return box.map((value, i) => value - origin[i % 2]);
  }

  function change(box) {
    model.set("box", box.map((value, i) => value + origin[i % 2]));
    tell();
  }

  // The output of one operation, of which a bin can be chosen.
  function addGrid(operation) {
    const figure = add(outputs, "div");
    add(figure, "div", {}, OPERATION_NAMES[operation]);
    const side = GRID / n;
    const svg = add(figure, "svg", { width: GRID + 4, height: GRID + 4, class: "mrcnn-click" });
    set(svg, { tabindex: 0, role: "application", "data-operation": operation });
    const group = add(svg, "g", { transform: "translate(2 2)" });
    const squares = Array.from({ length: n * n }, (_, k) => {
      const place = { x: (k % n) * side, y: Math.floor(k / n) * side };
      const square = add(group, "rect", { ...place, width: side + 0.5, height: side + 0.5 });
      square.addEventListener("click", () => choose(operation, Math.floor(k / n), k % n));
      return square;
    });
    const chosen = add(group, "rect", { fill: "none", width: side, height: side, rx: 1 });
    set(chosen, { stroke: look[operation].color, "stroke-width": 3 });
    onArrows(svg, (right, down) => {
      const [row, column] = model.get("bin");
      const inside = (value) => Math.min(Math.max(value, 0), n - 1);
      choose(operation, inside(row + down), inside(column + right));
    });
    return { svg, squares, chosen, side };
  }

  function choose(operation, row, column) {
    model.set("operation", operation);
    model.set("bin", [row, column]);
    tell();
  }

  function show() {
    const [box, [row, column]] = [model.get("box"), model.get("bin")];
    const operation = model.get("operation");
    const positions = box.map((value) => value / stride);
    const pooled = OPERATIONS.map((name) => poolRoi(name, map, positions, n));
    held.place(onPaper(box), "RoI", box);
    pooled.forEach(({ values }, index) => fillGrid(grids[index], values, row, column, index));
    drawRead(pooled[OPERATIONS.indexOf(operation)].along, operation, box, row, column);
    fillNumbers(pooled, positions, row, column);
    const along = pooled[OPERATIONS.indexOf(operation)].along;
    says.textContent = inWords(operation, along, box, row, column);
  }

  function fillGrid({ squares, chosen, side, svg }, values, row, column, index) {
    const high = model.get("high");
    values.flat().forEach((value, k) => {
      const gray = Math.round(255 * (1 - Math.min(Math.max(value / high, 0), 1)));
      set(squares[k], { fill: `rgb(${gray} ${gray} ${gray})` });
    });
    set(chosen, { x: column * side, y: row * side });
    const isShown = OPERATIONS[index] === model.get("operation");
    set(chosen, { "stroke-dasharray": isShown ? "" : "2 2" });
    const text = `row ${row}, column ${column}: ${number(values[row][column], 2)}`;
    set(svg, { "aria-label": `${OPERATION_NAMES[OPERATIONS[index]]}, bin in ${text}` });
  }

  // The bin itself, and what the operation reads for it: whole positions, or four points.
  function drawRead({ x, y }, operation, box, row, column) {
    layers.replaceChildren();
    const [x1, y1, x2, y2] = onPaper(box);
    const [width, height] = [(x2 - x1) / n, (y2 - y1) / n];
    const [left, top] = [x1 + column * width, y1 + row * height];
    const color = look[operation].color;
    const boxes = [{ box: [left, top, left + width, top + height], ...look.proposal, width: 2 }];
    const [rows, columns] = [y[row], x[column]];
    if (operation === "pool" && rows.length && columns.length) {
      const ends = (read, axis) => [
        (read[0].at - 0.5) * stride - origin[axis],
        (read[read.length - 1].at + 0.5) * stride - origin[axis],
      ];
      const [[a, c], [b, d]] = [ends(columns, 0), ends(rows, 1)];
      boxes.unshift({ box: [a, b, c, d], color, width: 2.5, fill: color });
    }
    addBoxes(layers, paper, boxes);
    for (const { at: py } of rows) {
      for (const { at: px } of columns) {
        const cx = (px * stride - origin[0]) * paper.scale;
        const cy = (py * stride - origin[1]) * paper.scale;
        add(layers, "circle", { cx, cy, r: 4, fill: color, stroke: "white", "stroke-width": 1.5 });
      }
    }
  }

  function fillNumbers(pooled, positions, row, column) {
    table.replaceChildren();
    const heads = add(add(table, "thead"), "tr");
    for (const head of ["", "this bin's value", "worst bin is off by"]) {
      add(heads, "th", { scope: "col" }, head);
    }
    const body = add(table, "tbody");
    OPERATIONS.forEach((operation, index) => {
      const line = add(body, "tr", { "data-operation": operation });
      const head = add(line, "th", { scope: "row" });
      addSwatch(head, look[operation]);
      head.append(OPERATION_NAMES[operation]);
      const { values, along } = pooled[index];
      const error = stride * largestError(along, positions, n);
      add(line, "td", {}, number(values[row][column], 3));
      add(line, "td", {}, `${number(error, 1)} pixels`);
    });
  }

  function inWords(operation, { x, y }, box, row, column) {
    const edges = box.map((value) => number(value / stride, 2)).join(", ");
    const from = (read) => {
      const [a, b] = [read[0].at, read[read.length - 1].at];
      const text = (value) => number(value, operation === "pool" ? 0 : 2);
      return a === b ? text(a) : `${text(a)} to ${text(b)}`;
    };
    const where = `columns ${from(x[column])} and rows ${from(y[row])}`;
    const name = OPERATION_NAMES[operation];
    return `On the map, the RoI is (${edges}). For this bin, ${name} reads ${where}.`;
  }

  onChanges(model, ["box", "bin", "operation"], show);
  show();
}

// A dot at each position of the map.
function addDots(paper, origin, stride, look) {
  const dots = add(paper.drawing, "g", { fill: look.ink, "fill-opacity": 0.55 });
  for (let x = stride / 2; x < paper.width; x += stride) {
    for (let y = stride / 2; y < paper.height; y += stride) {
      add(dots, "circle", { cx: x * paper.scale, cy: y * paper.scale, r: 1.8 });
    }
  }
}

export default { render };
