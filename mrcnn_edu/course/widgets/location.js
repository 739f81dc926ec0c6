// A location that the reader clicks, its receptive field and its anchors.

const NEAREST = 7; // pixels of the screen between the dots of a grid that is drawn

function render({ model, el }) {
  const { left, panel, paper } = makeFrame(model, el, model.get("margin"));
  const look = model.get("look");
  const tell = makeTeller(model);
  const levels = model.get("levels");
  const objects = model.get("objects");
  const help =
    "Click a location. With the keyboard, press Tab to reach the picture, and move from location " +
    "to location with the arrow keys.";
  add(left, "p", { class: "mrcnn-hint" }, help);

  const choice = addLevels(panel, levels, (level) => {
    const { point } = here();
    goNear(level, point);
  });
  let showsPredicted = "predicted" in levels[0].anchors;
  if (showsPredicted) {
    const label = add(add(panel, "div", { class: "mrcnn-controls" }), "label");
    const box = add(label, "input", { type: "checkbox", checked: "" });
    label.append("Show the predicted boxes with a score over 0.5");
    box.addEventListener("change", () => {
      showsPredicted = box.checked;
      show();
    });
  }
  const says = add(panel, "p", { class: "mrcnn-says mrcnn-long", "aria-live": "polite" });
  const table = add(panel, "table");

  const { drawing } = paper;
  drawing.classList.add("mrcnn-click");
  set(drawing, { tabindex: 0, role: "application", "aria-roledescription": "feature map" });
  const layers = add(drawing, "g", { "pointer-events": "none" });
  drawing.addEventListener("click", (event) => goNear(model.get("level"), paper.locate(event)));
  onArrows(drawing, (right, down) => {
    const { row, column } = here();
    go(model.get("level"), row + down, column + right);
  });

  function goNear(level, { x, y }) {
    const [strideY, strideX] = levels[level].stride;
    go(level, Math.round(y / strideY), Math.round(x / strideX));
  }

  function go(level, row, column) {
    const [rows, columns] = levels[level].grid;
    const inside = (value, end) => Math.min(Math.max(value, 0), end - 1);
    model.set("level", level);
    model.set("location", [inside(row, rows), inside(column, columns)]);
    tell();
  }

  // The location, which Python may have set beyond the end of the feature map.
  function here() {
    const level = levels[model.get("level")];
    const [row, column] = model.get("location").map((n, i) => Math.min(n, level.grid[i] - 1));
    return { level, row, column, point: { x: column * level.stride[1], y: row * level.stride[0] } };
  }

  // What Python has computed of the anchors at the location: {box, iou, object, match, ...} each.
  function anchorsHere() {
    const { level, row, column } = here();
    const { grid, anchors } = level;
    const k = anchors.box.length / (grid[0] * grid[1]);
    const first = (row * grid[1] + column) * k;
    const names = Object.keys(anchors);
    return Array.from({ length: k }, (_, i) =>
      Object.fromEntries(names.map((name) => [name, anchors[name][first + i]])),
    );
  }

  function show() {
    const { level, row, column, point } = here();
    const anchors = anchorsHere();
    choice.show(model.get("level"));
    layers.replaceChildren();
    drawField(layers, paper, point, level.field, look);
    drawGrid(layers, paper, level, look);
    const shown = showsPredicted ? anchors.filter(({ score }) => score > 0.5) : [];
    addBoxes(layers, paper, [
      ...objects.map((box) => ({ box, ...look.gt, width: 2.5 })),
      ...anchors.map(({ box, match }) => ({ box, ...look[match] })),
      ...shown.map(({ predicted }) => ({ box: predicted, ...look.proposal, width: 3 })),
    ]);
    drawPoint(layers, paper, point, look);
    const chips = anchors.map(({ box, iou, match }) => ({
      text: `IoU ${number(iou, 2)}`, box, color: look[match].color,
    }));
    const beside = besideAll(chips, paper.scale);
    const names = objects.map((box, i) => ({ text: `${i + 1}`, box, color: look.gt.color }));
    addChips(layers, paper, [...beside, ...names]);
    fillTable(table, anchors, look);
    const words = inWords(level, row, column, point, paper);
    says.textContent = words;
    const list = anchors.map(({ match, iou }) => `${match}, IoU ${number(iou, 2)}`).join("; ");
    set(drawing, { "aria-label": `${words} Anchors: ${list}.` });
  }

  onChanges(model, ["level", "location"], show);
  show();
}

function inWords(level, row, column, { x, y }, paper) {
  const { full, half } = level.field;
  const where = `Row ${row}, column ${column} of ${level.grid.join(" × ")} locations`;
  const [left, top] = [x - full / 2, y - full / 2];
  const [right, bottom] = [x + full / 2, y + full / 2];
  const isAll = left <= 0 && top <= 0 && right >= paper.width && bottom >= paper.height;
  const reach = isAll ? "and contains the whole image" : "and the image is gray outside of it";
  const field = full
    ? `Its receptive field is ${full} × ${full} pixels, ${reach}.`
    : "Its receptive field is too large to be measured.";
  const effect = `Half of the gradient lies in the dotted square, about ${half} pixels wide.`;
  return `${where}, at pixel (${x}, ${y}). ${field} ${effect}`;
}

// Gray outside of the receptive field, and a dotted square around the part that counts most.
function drawField(parent, paper, { x, y }, { full, half }, look) {
  const { scale, width, height } = paper;
  const around = (size) => [x - size / 2, y - size / 2, x + size / 2, y + size / 2];
  const path = (box) => {
    const [x1, y1, x2, y2] = box.map((value) => value * scale);
    return `M${x1} ${y1}H${x2}V${y2}H${x1}Z`;
  };
  const [x1, y1, x2, y2] = around(full || 1e6);
  const seen = [Math.max(x1, 0), Math.max(y1, 0), Math.min(x2, width), Math.min(y2, height)];
  const d = path([0, 0, width, height]) + path(seen);
  add(parent, "path", { d, fill: look.gray, "fill-opacity": 0.45, "fill-rule": "evenodd" });
  const square = { ...rectangle(around(half), scale), fill: "none" };
  add(parent, "rect", { ...square, stroke: "white", "stroke-width": 4, opacity: 0.8 });
  const dots = { "stroke-dasharray": "1.5 4", "stroke-linecap": "round" };
  add(parent, "rect", { ...square, ...dots, stroke: look.ink, "stroke-width": 2 });
}

// A dot at each location, unless there are too many of them to be told apart.
function drawGrid(parent, { scale, width, height }, { stride, grid }, look) {
  if (Math.min(...stride) * scale < NEAREST) return;
  const dots = add(parent, "g", { fill: look.ink, "fill-opacity": 0.55 });
  for (let row = 0; row < grid[0] && row * stride[0] <= height; row += 1) {
    for (let column = 0; column < grid[1] && column * stride[1] <= width; column += 1) {
      add(dots, "circle", { cx: column * stride[1] * scale, cy: row * stride[0] * scale, r: 1.4 });
    }
  }
}

// The same chips beside all of their boxes, below each other, if they would hide the boxes.
function besideAll(chips, scale) {
  const corner = (index, pick) => pick(...chips.map(({ box }) => box[index]));
  const [x1, y1] = [corner(0, Math.min), corner(1, Math.min)];
  const [x2, y2] = [corner(2, Math.max), corner(3, Math.max)];
  if ((x2 - x1) * scale > 150) return chips;
  const high = (CHIP_HEIGHT + 1) / scale;
  const top = (y1 + y2 - chips.length * high) / 2;
  return chips.map((chip, i) => ({
    ...chip,
    box: [x1, top + i * high, x2, top + (i + 1) * high],
    isBeside: true,
  }));
}

function drawPoint(parent, { scale }, { x, y }, look) {
  const center = { cx: x * scale, cy: y * scale };
  add(parent, "circle", { ...center, r: 6, fill: look.ink, stroke: "white", "stroke-width": 2.5 });
}

// Buttons of which one is chosen: the levels.
function addLevels(parent, levels, act) {
  const field = add(parent, "fieldset");
  add(field, "legend", {}, "Feature map");
  const group = add(field, "div", { class: "mrcnn-controls" });
  const name = `mrcnn-level-${Math.random()}`; // each view has a choice of its own
  const inputs = levels.map(({ stride }, level) => {
    const label = add(group, "label", { class: "mrcnn-choice" });
    const input = add(label, "input", { type: "radio", name, value: level });
    add(label, "span", {}, `stride ${stride[0]}`);
    input.addEventListener("change", () => act(level));
    onArrows(input);
    return input;
  });
  const show = (level) => {
    inputs[level].checked = true;
  };
  return { show };
}

function fillTable(table, anchors, look) {
  table.replaceChildren();
  const hasScores = anchors.some(({ score }) => score !== undefined);
  add(table, "caption", {}, "Its anchors");
  const heads = add(add(table, "thead"), "tr");
  for (const head of ["w × h", "IoU"]) add(heads, "th", { scope: "col" }, head);
  add(heads, "th", { scope: "col", class: "mrcnn-text" }, "label");
  if (hasScores) add(heads, "th", { scope: "col" }, "RPN's score");
  const body = add(table, "tbody");
  for (const { box, iou, object, match, score } of anchors) {
    const row = add(body, "tr", { "data-match": match });
    const head = add(row, "th", { scope: "row" });
    addSwatch(head, look[match]);
    head.append(`${coordinate(box[2] - box[0])} × ${coordinate(box[3] - box[1])}`);
    add(row, "td", {}, number(iou, 2));
    const with_ = match === "positive" ? `, object ${object + 1}` : "";
    add(row, "td", { class: "mrcnn-text" }, `${match}${with_}`);
    if (hasScores) add(row, "td", {}, number(score, 2));
  }
}

export default { render };
