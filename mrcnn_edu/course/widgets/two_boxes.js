// Two boxes that the reader moves and resizes, with their IoU and the deltas between them.

const NAMES = { anchor: "anchor", gt: "ground truth" };

function render({ model, el }) {
  const { left, panel, paper } = makeFrame(model, el, 2);
  const look = model.get("look");
  const tell = makeTeller(model);
  const help =
    "Drag a box to move it, or one of its corners to resize it. With the keyboard, press Tab to " +
    "reach a box: arrow keys move it, and arrow keys with Shift resize it.";
  add(left, "p", { class: "mrcnn-hint" }, help);

  addGrid(paper, model.get("grid"), look);
  const shared = add(paper.drawing, "rect", { fill: look.ink, "fill-opacity": 0.16 });
  const held = { anchor: addHeld("anchor"), gt: addHeld("gt") };
  const way = add(paper.drawing, "g", { "pointer-events": "none" });
  const numbers = makeNumbers(panel, look);

  function addHeld(name) {
    const style = { ...look[name], ink: look.ink };
    const get = () => model.get(name);
    const box = addHeldBox(paper.drawing, paper, style, get, (changed) => change(name, changed));
    set(box.group, { "data-box": name });
    return box;
  }

  function change(name, box) {
    model.set(name, box);
    tell();
  }

  function show() {
    const boxes = { anchor: model.get("anchor"), gt: model.get("gt") };
    for (const name of ["anchor", "gt"]) held[name].place(boxes[name], NAMES[name]);
    // The smaller box lies on top, or it could not be held. The one with the focus stays in place.
    const [above, below] =
      boxArea(boxes.gt) <= boxArea(boxes.anchor) ? [held.gt, held.anchor] : [held.anchor, held.gt];
    const order = below.group.compareDocumentPosition(above.group);
    if (!(order & Node.DOCUMENT_POSITION_FOLLOWING)) {
      if (document.activeElement === above.group) above.group.before(below.group);
      else below.group.after(above.group);
    }
    const [a, b] = [boxes.anchor, boxes.gt];
    const common = [
      Math.max(a[0], b[0]), Math.max(a[1], b[1]), Math.min(a[2], b[2]), Math.min(a[3], b[3]),
    ];
    const isEmpty = common[2] <= common[0] || common[3] <= common[1];
    set(shared, rectangle(isEmpty ? [0, 0, 0, 0] : common, paper.scale));
    way.replaceChildren();
    addWay(way, paper.scale, centerAndSize(a), centerAndSize(b), look);
    numbers.show(a, b);
  }

  onChanges(model, ["anchor", "gt"], show);
  show();
}

// Lines on blank paper, every so many pixels.
function addGrid(paper, step, look) {
  const grid = add(paper.drawing, "g", { stroke: look.light, "stroke-width": 1 });
  if (!step) return;
  const [width, height] = [paper.width * paper.scale, paper.height * paper.scale];
  for (let x = 0; x <= paper.width; x += step) {
    add(grid, "line", { x1: x * paper.scale, x2: x * paper.scale, y1: 0, y2: height });
  }
  for (let y = 0; y <= paper.height; y += step) {
    add(grid, "line", { y1: y * paper.scale, y2: y * paper.scale, x1: 0, x2: width });
  }
}

// The way of the center, from the anchor to the ground truth.
function addWay(parent, scale, from, to, look) {
  const [x1, y1, x2, y2] = [from.x, from.y, to.x, to.y].map((value) => value * scale);
  for (const [stroke, wide] of [["white", 5], [look.ink, 2]]) {
    add(parent, "line", { x1, y1, x2, y2, stroke, "stroke-width": wide });
  }
  add(parent, "circle", { cx: x1, cy: y1, r: 4, fill: look.anchor.color, stroke: "white" });
  add(parent, "circle", { cx: x2, cy: y2, r: 4, fill: look.gt.color, stroke: "white" });
}

// The numbers beside the paper: both boxes, how they overlap, and the deltas.
function makeNumbers(panel, look) {
  const boxes = addTable(panel, "Boxes, in pixels", ["", "x1", "y1", "x2", "y2", "w", "h"]);
  const rows = {
    anchor: addRow(boxes, look.anchor, NAMES.anchor),
    gt: addRow(boxes, look.gt, NAMES.gt),
  };
  const overlap = addTable(panel, "Overlap");
  const areas = addFormula(overlap, "areas");
  const intersection = addFormula(overlap, "intersection");
  const union = addFormula(overlap, "union");
  const iou = addFormula(overlap, "IoU");
  set(iou.result, { "aria-live": "polite" });
  const scale = add(panel, "div", { class: "mrcnn-scale", "aria-hidden": "true" });
  const bar = add(scale, "div");
  const deltas = addTable(panel, "Deltas, from the anchor to the ground truth");
  const lines = ["dx", "dy", "dw", "dh"].map((name) => addFormula(deltas, name));

  function show(anchor, gt) {
    const [a, b] = [centerAndSize(anchor), centerAndSize(gt)];
    for (const [name, box, { width, height }] of [["anchor", anchor, a], ["gt", gt, b]]) {
      [...box, width, height].forEach((value, index) => {
        rows[name][index].textContent = coordinate(value);
      });
    }
    const [c, areaA, areaB] = [coordinate, boxArea(anchor), boxArea(gt)];
    const both = boxIntersection(anchor, gt);
    const wide = Math.max(0, Math.min(anchor[2], gt[2]) - Math.max(anchor[0], gt[0]));
    const high = Math.max(0, Math.min(anchor[3], gt[3]) - Math.max(anchor[1], gt[1]));
    const sizes = [a, b].map(({ width, height }) => `${c(width)} × ${c(height)}`);
    areas.show(sizes.join(" and "), `${c(areaA)}, ${c(areaB)}`);
    intersection.show(`${c(wide)} × ${c(high)}`, c(both));
    union.show(`${c(areaA)} + ${c(areaB)} − ${c(both)}`, c(areaA + areaB - both));
    iou.show(`${c(both)} / ${c(areaA + areaB - both)}`, number(boxIou(anchor, gt)));
    bar.style.width = `${100 * boxIou(anchor, gt)}%`;
    const formulas = [
      `(${c(b.x)} − ${c(a.x)}) / ${c(a.width)}`,
      `(${c(b.y)} − ${c(a.y)}) / ${c(a.height)}`,
      `log(${c(b.width)} / ${c(a.width)})`,
      `log(${c(b.height)} / ${c(a.height)})`,
    ];
    encodeBox(gt, anchor).forEach((delta, index) => {
      lines[index].show(formulas[index], number(delta));
    });
  }
  return { show };
}

function addTable(parent, title, heads = []) {
  const table = add(parent, "table");
  add(table, "caption", {}, title);
  if (heads.length) {
    const row = add(add(table, "thead"), "tr");
    for (const head of heads) add(row, "th", { scope: "col" }, head);
  }
  return add(table, "tbody");
}

// A row of a table with a swatch: the cells for a box's numbers.
function addRow(body, style, name) {
  const row = add(body, "tr");
  const head = add(row, "th", { scope: "row" });
  addSwatch(head, style);
  head.append(name);
  return Array.from({ length: 6 }, () => add(row, "td"));
}

// A row with a name, how it is computed, and the result.
function addFormula(body, name) {
  const row = add(body, "tr");
  add(row, "th", { scope: "row" }, name);
  const formula = add(row, "td");
  const result = add(add(row, "td"), "output", { "data-number": name });
  const show = (text, value) => {
    formula.textContent = text;
    result.textContent = value;
  };
  return { show, result };
}

export default { render };
