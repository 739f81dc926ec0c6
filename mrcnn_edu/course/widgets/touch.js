// What the touchable widgets share: paper (a picture under a drawing), boxes, chips with text,
// buttons, the arrow keys, and the way back to Python.

const PAPER_SIZE = 400; // pixels of the screen along the longer side of the paper
const HANDLE = 9; // pixels along the side of a corner's handle
const CHIP_HEIGHT = 16;
const PATIENCE = 250; // milliseconds of rest before Python is told
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

// A new element as the last child of `parent`.
function add(parent, name, attributes = {}, text = "") {
  const isDrawing = name === "svg" || parent.namespaceURI === "http://www.w3.org/2000/svg";
  const space = isDrawing ? "http://www.w3.org/2000/svg" : "http://www.w3.org/1999/xhtml";
  const element = document.createElementNS(space, name);
  set(element, attributes);
  element.textContent = text;
  parent.append(element);
  return element;
}

function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
}

// The frame of a widget: the paper at the left, a panel at the right, the caption below.
function makeFrame(model, el, margin) {
  el.classList.add("mrcnn-touch");
  const columns = add(el, "div", { class: "mrcnn-columns" });
  const left = add(columns, "div", { class: "mrcnn-left" });
  const paper = makePaper(left, model, margin);
  const panel = add(columns, "div", { class: "mrcnn-panel" });
  const caption = add(el, "p", { class: "mrcnn-caption" });
  const write = () => {
    const [, figure, text] = model.get("note").match(/^(Figure \d+\.)?([^]*)$/);
    caption.replaceChildren();
    add(caption, "b", {}, figure ?? "");
    caption.append(text);
    paper.picture.alt = model.get("note");
  };
  model.on("change:note", write);
  write();
  const problem = add(el, "p", { class: "mrcnn-error", role: "alert" });
  const complain = () => (problem.textContent = model.get("error_line"));
  model.on("change:error_line", complain);
  complain();
  return { left, panel, paper };
}

// A picture under a drawing. The drawing's unit is a pixel of the screen: `scale` times that of
// the picture. margin: white paper around the picture, in pixels of the picture.
function makePaper(parent, model, margin) {
  const [height, width] = model.get("size");
  const scale = PAPER_SIZE / (Math.max(width, height) + 2 * margin);
  const view = { width: (width + 2 * margin) * scale, height: (height + 2 * margin) * scale };
  const root = add(parent, "div", { class: "mrcnn-paper" });
  root.style.width = `${view.width}px`;
  root.style.aspectRatio = `${view.width} / ${view.height}`;
  const picture = add(root, "img", { src: model.get("source"), draggable: "false" });
  picture.style.left = `${(100 * margin * scale) / view.width}%`;
  picture.style.top = `${(100 * margin * scale) / view.height}%`;
  picture.style.width = `${(100 * width * scale) / view.width}%`;
  picture.classList.toggle("mrcnn-pixels", scale > 1);
  const start = -margin * scale;
  const viewBox = `${start} ${start} ${view.width} ${view.height}`;
  const drawing = add(root, "svg", { viewBox });
  // Where a mouse or a finger is, in pixels of the picture.
  const locate = (event) => {
    const frame = drawing.getBoundingClientRect();
    const perPixel = (width + 2 * margin) / frame.width;
    return {
      x: (event.clientX - frame.left) * perPixel - margin,
      y: (event.clientY - frame.top) * perPixel - margin,
    };
  };
  return { root, picture, drawing, scale, width, height, margin, locate };
}

// The corners of a box as the attributes of a rectangle.
function rectangle(box, scale, grow = 0) {
  return {
    x: box[0] * scale - grow,
    y: box[1] * scale - grow,
    width: Math.max(0, (box[2] - box[0]) * scale + 2 * grow),
    height: Math.max(0, (box[3] - box[1]) * scale + 2 * grow),
  };
}

// Boxes with white halos, all of which are below all lines, or one would hide another's line.
// boxes: [{box, color, width, dashes, fill, opacity}, ...]; dashes are in widths of the line.
function addBoxes(parent, paper, boxes) {
  for (const { box, width = 2 } of boxes) {
    const halo = { fill: "none", stroke: "white", "stroke-width": width + 2.4, opacity: 0.9 };
    add(parent, "rect", { ...rectangle(box, paper.scale), ...halo });
  }
  for (const { box, color, width = 2, dashes = [], fill = "none", opacity = 1 } of boxes) {
    const line = { stroke: color, "stroke-width": width, opacity, fill, "fill-opacity": 0.18 };
    line["stroke-dasharray"] = dashes.map((length) => length * width).join(" ");
    add(parent, "rect", { ...rectangle(box, paper.scale), ...line });
  }
}

// Texts on chips, each near a corner of its box and on no other chip, if there is room for it.
// chips: [{text, box, color, isBeside}, ...], the most important ones first. isBeside: whether it
// is to be at the box's right or left.
function addChips(parent, paper, chips) {
  const { scale, margin, width, height } = paper;
  const low = 1 - margin * scale;
  const right = (width + margin) * scale - 1;
  const bottom = (height + margin) * scale - 1;
  const taken = [];
  for (const { text, box, color, isBeside } of chips) {
    const long = 7 * text.length + 8;
    const [x1, y1, x2, y2] = box.map((value) => value * scale);
    const outside = x2 + 6 + long < right ? [x2 + 6] : [x1 - long - 6];
    const within = [x1, x2 - long, (x1 + x2 - long) / 2, x1 - long - 2, x2 + 2];
    const across = isBeside ? outside : within;
    const inside = [y1, y2 - CHIP_HEIGHT, (y1 + y2 - CHIP_HEIGHT) / 2];
    const around = [y1 - CHIP_HEIGHT - 3, y2 + 3];
    const isSmall = !isBeside && Math.min(x2 - x1, y2 - y1) < 3 * CHIP_HEIGHT;
    const down = isSmall ? [...around, ...inside] : [...inside, ...around];
    const places = down.flatMap((y) => across.map((x) => ({ x, y })));
    const clamped = places.map(({ x, y }) => ({
      x: Math.min(Math.max(x, low), right - long),
      y: Math.min(Math.max(y, low), bottom - CHIP_HEIGHT),
    }));
    const isFree = ({ x, y }) =>
      taken.every(
        (other) =>
          x >= other.x + other.long + 1 ||
          x + long + 1 <= other.x ||
          y >= other.y + CHIP_HEIGHT + 1 ||
          y + CHIP_HEIGHT + 1 <= other.y,
      );
    const place = clamped.find(isFree);
    if (!place) continue;
    taken.push({ ...place, long });
    const group = add(parent, "g", { class: "mrcnn-chip" });
    const size = { width: long, height: CHIP_HEIGHT, rx: 3 };
    add(group, "rect", { ...place, ...size, fill: color, stroke: "white" });
    add(group, "text", { x: place.x + long / 2, y: place.y + CHIP_HEIGHT / 2 + 4 }, text);
  }
}

// A line of a color on a white chip: what a legend or a table shows of a box.
function addSwatch(parent, { color, width = 2, dashes = [] }) {
  const svg = add(parent, "svg", { class: "mrcnn-swatch", viewBox: "0 0 26 14" });
  set(svg, { "aria-hidden": "true" });
  const dasharray = dashes.map((length) => length * width).join(" ");
  const line = { x1: 3, x2: 23, y1: 7, y2: 7, stroke: color, "stroke-width": width + 0.5 };
  add(svg, "line", { ...line, "stroke-dasharray": dasharray });
}

function addButton(parent, text, act) {
  const button = add(parent, "button", { type: "button" }, text);
  button.addEventListener("click", act);
  return button;
}

// Whether a button can be pressed. One that is disabled would lose the focus.
function enable(button, isEnabled) {
  button.setAttribute("aria-disabled", String(!isEnabled));
}

// Calls act(right, down, event) for the arrow keys while the node has the focus. JupyterLab, which
// would select another cell, does not see them. Without `act` the node itself follows the keys.
function onArrows(node, act) {
  const handle = (event) => {
    const step = ARROWS[event.key];
    if (document.activeElement !== node) {
      window.removeEventListener("keydown", handle, true);
    } else if (step && !event.ctrlKey && !event.altKey && !event.metaKey) {
      event.stopImmediatePropagation();
      if (!act) return;
      event.preventDefault();
      act(...step, event);
    }
  };
  node.addEventListener("focus", () => window.addEventListener("keydown", handle, true));
  node.addEventListener("blur", () => window.removeEventListener("keydown", handle, true));
}

// A function that tells Python what has changed, once the reader's hand rests: Python draws the
// still picture anew each time.
function makeTeller(model) {
  let timer;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      try {
        model.save_changes();
      } catch {
        // The kernel has stopped. The widget does without it.
      }
    }, PATIENCE);
  };
}

function onChanges(model, names, act) {
  for (const name of names) model.on(`change:${name}`, act);
}

// A number with a fixed number of decimals and a true minus sign.
function number(value, decimals = 3) {
  const text = value.toFixed(decimals);
  return Number(text) === 0 ? (0).toFixed(decimals) : text.replace("-", "\u2212");
}

// A coordinate: whole if it is.
function coordinate(value) {
  return number(value, Number.isInteger(value) ? 0 : 1);
}

function count(n, singular, plural) {
  return `${n} ${n === 1 ? singular : plural}`;
}
