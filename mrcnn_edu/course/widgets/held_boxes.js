// Boxes in a drawing that the reader holds: by the inside to move one, by a corner to resize it.

const HELD_HELP = "Arrow keys move it, arrow keys with Shift resize it.";
const CORNERS = ["nwse", "nesw", "nesw", "nwse"]; // the cursors of the four

// The box after a movement by (x, y), within the picture.
function movedBox([x1, y1, x2, y2], x, y, paper) {
  const right = Math.min(Math.max(x, -x1), paper.width - x2);
  const down = Math.min(Math.max(y, -y1), paper.height - y2);
  return [x1 + right, y1 + down, x2 + right, y2 + down];
}

// The box after one of its corners has moved by (x, y). It stays at least `smallest` pixels wide.
function resizedBox([x1, y1, x2, y2], isRight, isLower, x, y, paper, smallest = 1) {
  if (isRight) x2 = Math.min(Math.max(x2 + x, x1 + smallest), paper.width);
  else x1 = Math.max(Math.min(x1 + x, x2 - smallest), 0);
  if (isLower) y2 = Math.min(Math.max(y2 + y, y1 + smallest), paper.height);
  else y1 = Math.max(Math.min(y1 + y, y2 - smallest), 0);
  return [x1, y1, x2, y2];
}

// Calls act(x, y, start) while a part of the drawing is dragged: by how many whole pixels it has
// moved, and what begin(event) returned when it was pressed.
function onDrag(part, paper, begin, act) {
  let start = null;
  // A finger on a box moves the box, not the page.
  part.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false });
  part.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    const given = begin(event);
    if (given === undefined) return;
    part.setPointerCapture(event.pointerId);
    start = { at: paper.locate(event), given };
  });
  part.addEventListener("pointermove", (event) => {
    if (!start) return;
    const { x, y } = paper.locate(event);
    act(Math.round(x - start.at.x), Math.round(y - start.at.y), start.given, start.at);
  });
  for (const end of ["pointerup", "pointercancel"]) {
    part.addEventListener(end, () => {
      start = null;
    });
  }
}

// A box that can be held. get() gives its corners, change(box) sets them. Returns its group, and
// place(box, name), which draws it and tells screen readers where it is: at `told`, if that is not
// where it is on the paper.
function addHeldBox(parent, paper, { color, dashes = [], ink, smallest }, get, change) {
  const role = { role: "group", "aria-roledescription": "box that can be moved" };
  const group = add(parent, "g", { class: "mrcnn-held", tabindex: 0, ...role });
  const ring = add(group, "rect", { class: "mrcnn-ring", fill: "none", stroke: ink });
  set(ring, { "stroke-width": 2, rx: 3 });
  const halo = add(group, "rect", { fill: "none", stroke: "white", "stroke-width": 5 });
  const style = { fill: "transparent", stroke: color, "stroke-width": 2.5 };
  const dasharray = dashes.map((length) => 2.5 * length).join(" ");
  const line = add(group, "rect", { ...style, "stroke-dasharray": dasharray });
  const hold = () => {
    group.focus({ preventScroll: true });
    return get();
  };
  const corners = CORNERS.map((cursor, index) => {
    const corner = add(group, "g", { class: "mrcnn-corner", style: `cursor: ${cursor}-resize` });
    const area = add(corner, "rect", { width: 22, height: 22, fill: "transparent" });
    const size = { width: HANDLE, height: HANDLE, fill: "white", stroke: color };
    const square = add(corner, "rect", { ...size, "stroke-width": 2 });
    onDrag(corner, paper, hold, (x, y, box) =>
      change(resizedBox(box, index % 2 === 1, index > 1, x, y, paper, smallest)),
    );
    return { area, square };
  });
  onDrag(line, paper, hold, (x, y, box) => change(movedBox(box, x, y, paper)));
  onArrows(group, (right, down, event) => {
    const isResized = event.shiftKey;
    if (isResized) change(resizedBox(get(), true, true, right, down, paper, smallest));
    else change(movedBox(get(), right, down, paper));
  });

  function place(box, name, told = box) {
    set(ring, rectangle(box, paper.scale, 8));
    for (const element of [halo, line]) set(element, rectangle(box, paper.scale));
    const [x1, y1, x2, y2] = box.map((value) => value * paper.scale);
    [[x1, y1], [x2, y1], [x1, y2], [x2, y2]].forEach(([x, y], index) => {
      const { area, square } = corners[index];
      set(area, { x: x - 11, y: y - 11 });
      set(square, { x: x - HANDLE / 2, y: y - HANDLE / 2 });
    });
    const [left, top, right, bottom] = told.map(coordinate);
    const where = `x1 ${left}, y1 ${top}, x2 ${right}, y2 ${bottom}`;
    set(group, { "aria-label": `${name}: ${where}. ${HELD_HELP}` });
  }
  return { group, place };
}
