// Polygons whose vertices the reader drags, adds and removes.

const LEAST_VERTICES = 3;
const MOST_UNDO = 50;

function render({ model, el }) {
  const { left, panel, paper } = makeFrame(model, el, 0);
  const look = model.get("look");
  const tell = makeTeller(model);
  const names = model.get("names");
  const help =
    "Drag a vertex to move it. A double click on an edge adds a vertex, and a double click on a " +
    "vertex removes it. With the keyboard, press Tab to reach a vertex: arrow keys move it, " +
    "Insert or + adds one behind it, and Delete removes it.";
  add(left, "p", { class: "mrcnn-hint" }, help);

  const { drawing, scale } = paper;
  const shapes = add(drawing, "g");
  const handles = add(drawing, "g");
  const done = []; // states before each change, for the button that takes one back
  let held = 0; // the vertex that has the focus

  const choice = addChoice(panel, names, (index) => {
    held = 0;
    model.set("chosen", index);
    tell();
  });
  const says = add(panel, "p", { class: "mrcnn-says mrcnn-long", "aria-live": "polite" });
  const buttons = add(panel, "div", { class: "mrcnn-controls" });
  const undo = addButton(buttons, "Take back", () => {
    if (done.length) replace(done.pop());
  });
  const reset = addButton(buttons, "As it was", () => {
    if (isChanged()) remember(), replace(model.get("given"));
  });

  const all = () => model.get("polygons");
  const current = () => all()[model.get("chosen")];
  const isChanged = () => JSON.stringify(all()) !== JSON.stringify(model.get("given"));

  function remember() {
    done.push(all());
    if (done.length > MOST_UNDO) done.shift();
  }

  function replace(polygons) {
    model.set("polygons", polygons);
    tell();
  }

  function change(polygon) {
    replace(all().map((other, i) => (i === model.get("chosen") ? polygon : other)));
  }

  function addVertex(index, point) {
    remember();
    held = index;
    change([...current().slice(0, index), point, ...current().slice(index)]);
    focus();
  }

  function removeVertex(index) {
    if (current().length <= LEAST_VERTICES) return;
    remember();
    held = Math.max(0, index - 1);
    change(current().filter((_, i) => i !== index));
    focus();
  }

  function focus() {
    handles.children[Math.min(held, handles.children.length - 1)]?.focus({ preventScroll: true });
  }

  drawing.addEventListener("dblclick", (event) => {
    const { x, y } = paper.locate(event);
    const near = nearestEdge(current(), [x, y]);
    if (near.distance * scale < 12) addVertex(near.index + 1, within([x, y]));
  });

  const within = ([x, y]) => [
    Math.round(10 * Math.min(Math.max(x, 0), paper.width)) / 10,
    Math.round(10 * Math.min(Math.max(y, 0), paper.height)) / 10,
  ];

  function addHandle(index) {
    const group = add(handles, "g", { class: "mrcnn-held", tabindex: 0, "data-vertex": index });
    set(group, { role: "group", "aria-roledescription": "vertex that can be moved" });
    const ring = { class: "mrcnn-ring", r: 9, fill: "none", stroke: look.ink };
    add(group, "circle", { ...ring, "stroke-width": 2 });
    add(group, "circle", { r: 10, fill: "transparent" });
    add(group, "circle", { r: 4.5, fill: "white", stroke: look.gt.color, "stroke-width": 2 });
    let start = null;
    group.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false });
    group.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      event.stopPropagation();
      group.setPointerCapture(event.pointerId);
      group.focus({ preventScroll: true });
      start = { at: paper.locate(event), point: current()[index], before: all() };
    });
    group.addEventListener("pointermove", (event) => {
      if (!start) return;
      const { x, y } = paper.locate(event);
      const [x0, y0] = start.point;
      move(index, within([x0 + x - start.at.x, y0 + y - start.at.y]));
    });
    for (const end of ["pointerup", "pointercancel"]) {
      group.addEventListener(end, () => {
        if (start && start.before !== all()) done.push(start.before);
        start = null;
        show();
      });
    }
    group.addEventListener("dblclick", (event) => {
      event.stopPropagation();
      removeVertex(index);
    });
    group.addEventListener("focus", () => (held = index));
    group.addEventListener("keydown", (event) => {
      const acts = {
        Delete: () => removeVertex(index),
        Backspace: () => removeVertex(index),
        Insert: () => addBehind(index),
        "+": () => addBehind(index),
      };
      if (!acts[event.key]) return;
      event.preventDefault();
      event.stopPropagation();
      acts[event.key]();
    });
    onArrows(group, (right, down, event) => {
      const step = event.shiftKey ? 5 : 1;
      const [x, y] = current()[index];
      remember();
      move(index, within([x + step * right, y + step * down]));
    });
  }

  function addBehind(index) {
    const [a, b] = [current()[index], current()[(index + 1) % current().length]];
    addVertex(index + 1, within([(a[0] + b[0]) / 2, (a[1] + b[1]) / 2]));
  }

  function move(index, point) {
    change(current().map((other, i) => (i === index ? point : other)));
  }

  function show() {
    const [chosen, polygon] = [model.get("chosen"), current()];
    choice.show(chosen);
    shapes.replaceChildren();
    all().forEach((corners, i) => addPolygon(shapes, corners, scale, look, i === chosen));
    while (handles.children.length > polygon.length) handles.lastChild.remove();
    while (handles.children.length < polygon.length) addHandle(handles.children.length);
    polygon.forEach(([x, y], i) => {
      const handle = handles.children[i];
      set(handle, { transform: `translate(${x * scale} ${y * scale})` });
      const where = `vertex ${i + 1} of ${polygon.length}: x ${coordinate(x)}, y ${coordinate(y)}`;
      set(handle, { "aria-label": `${names[chosen]}, ${where}` });
    });
    const area = Math.abs(polygonArea(polygon));
    const before = Math.abs(polygonArea(model.get("given")[chosen]));
    const change = area - before;
    const differs = Math.abs(change) < 0.5 ? "as large as it was" : describe(change);
    const words = count(polygon.length, "vertex", "vertices");
    says.textContent = `${names[chosen]}: ${words}, ${number(area, 0)} pixels, ${differs}.`;
    enable(undo, done.length > 0);
    enable(reset, isChanged());
  }

  const describe = (change) =>
    `${number(Math.abs(change), 0)} ${change > 0 ? "more" : "fewer"} than it had`;

  onChanges(model, ["polygons", "chosen"], show);
  show();
}

// A polygon with a white halo; the one that is not chosen is thin.
function addPolygon(parent, corners, scale, look, isChosen) {
  const points = corners.map(([x, y]) => `${x * scale},${y * scale}`).join(" ");
  const halo = { points, fill: "none", stroke: "white", "stroke-width": 5, opacity: 0.9 };
  add(parent, "polygon", halo);
  const line = { points, stroke: look.gt.color, "stroke-width": isChosen ? 2.5 : 1.5 };
  add(parent, "polygon", { ...line, fill: look.gt.color, "fill-opacity": isChosen ? 0.12 : 0 });
}

// The area inside a polygon [[x, y], ...], by the shoelace formula; its sign is the direction.
function polygonArea(corners) {
  const terms = corners.map(([x, y], i) => {
    const [x2, y2] = corners[(i + 1) % corners.length];
    return x * y2 - x2 * y;
  });
  return terms.reduce((sum, term) => sum + term, 0) / 2;
}

// The edge of a polygon that is nearest to a point: {index, distance}; edge i begins at vertex i.
function nearestEdge(corners, [x, y]) {
  let best = { index: 0, distance: Infinity };
  corners.forEach(([x1, y1], index) => {
    const [x2, y2] = corners[(index + 1) % corners.length];
    const [dx, dy] = [x2 - x1, y2 - y1];
    const along = ((x - x1) * dx + (y - y1) * dy) / (dx * dx + dy * dy || 1);
    const part = Math.min(Math.max(along, 0), 1);
    const distance = Math.hypot(x - x1 - part * dx, y - y1 - part * dy);
    if (distance < best.distance) best = { index, distance };
  });
  return best;
}

// Buttons of which one is chosen: the polygons.
function addChoice(parent, names, act) {
  const field = add(parent, "fieldset");
  add(field, "legend", {}, "Polygon");
  const group = add(field, "div", { class: "mrcnn-controls" });
  const name = `mrcnn-polygon-${Math.random()}`; // each view has a choice of its own
  const inputs = names.map((text, index) => {
    const label = add(group, "label", { class: "mrcnn-choice" });
    const input = add(label, "input", { type: "radio", name, value: index });
    add(label, "span", {}, text);
    input.addEventListener("change", () => act(index));
    onArrows(input);
    return input;
  });
  return { show: (index) => (inputs[index].checked = true) };
}

export default { render };
