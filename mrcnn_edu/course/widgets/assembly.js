// A RoI that the reader moves and resizes, the position-sensitive maps below it, and what they make.

const READINGS = { inside: "inside", outside: "outside", mask: "inside minus outside" };
const MAP_SIDE = 116; // pixels of the screen along a map
const RESULT_SIDE = 150; // and along the assembled map

function render({ model, el }) {
  const { left, panel, paper } = makeFrame(model, el, 0);
  const look = model.get("look");
  const tell = makeTeller(model);
  const k = model.get("n_bins");
  const help =
    "Drag the orange RoI to move it, or a corner to resize it. With the keyboard, press Tab to " +
    "reach it: arrow keys move it, and arrow keys with Shift resize it.";
  add(left, "p", { class: "mrcnn-hint" }, help);

  const choice = addReadings(panel, (reading) => {
    model.set("reading", reading);
    tell();
  });
  const sheet = add(panel, "div", { class: "mrcnn-maps" });
  sheet.style.gridTemplateColumns = `repeat(${k}, ${MAP_SIDE}px)`;
  const parts = Array.from({ length: k * k }, (_, index) => addPart(sheet, index, k, look));
  const under = add(panel, "div", { class: "mrcnn-controls" });
  const result = add(under, "canvas", { role: "img" });
  result.style.width = `${RESULT_SIDE}px`;
  result.style.height = `${RESULT_SIDE}px`;
  const says = add(under, "p", { class: "mrcnn-says mrcnn-beside", "aria-live": "polite" });

  const layers = add(paper.drawing, "g", { "pointer-events": "none" });
  const style = { color: look.proposal.color, ink: look.ink, smallest: k }; // a pixel for each bin
  const held = addHeldBox(paper.drawing, paper, style, () => model.get("box"), change);
  held.group.dataset.box = "roi";

  function change(box) {
    model.set("box", box);
    tell();
  }

  function show() {
    const box = model.get("box");
    const reading = model.get("reading");
    const maps = mapsOf(model.get("maps"), reading);
    const high = Math.max(...maps.flat().map(Math.abs));
    const tint = makeTint(model.get("signs"), high);
    const [rows, columns] = model.get("grid");
    choice.show(reading);
    layers.replaceChildren();
    addBoxes(layers, paper, model.get("objects").map((object) => ({ box: object, ...look.gt })));
    const bins = binsOf(box, k);
    addBoxes(layers, paper, bins.map((bin) => ({ box: bin, ...look.proposal, width: 1 })));
    addChips(layers, paper, numbers(bins, look));
    held.place(box, "RoI");
    // Value i lies at pixel i * stride, and is painted as a square around its place.
    const stride = model.get("stride");
    const onMap = (bin) =>
      bin.map((value, i) => (value / stride + 0.5) / (i % 2 ? rows : columns));
    parts.forEach(({ canvas, drawing }, index) => {
      paint(canvas, maps[index], rows, columns, tint);
      drawing.replaceChildren();
      addBin(drawing, onMap(box), look, 0.8);
      addBin(drawing, onMap(bins[index]), look, 2.5);
    });
    const m = model.get("mask_size");
    const values = assembleMaps(maps, { rows, columns }, box, k, m, stride);
    paint(result, values, m, m, tint);
    const words = inWords(values, reading, k);
    says.textContent = words;
    set(result, { "aria-label": words });
  }

  onChanges(model, ["box", "reading"], show);
  show();
}

// The maps of a reading: k * k lists of values, row by row.
function mapsOf({ inside, outside }, reading) {
  if (reading !== "mask") return reading === "inside" ? inside : outside;
  return inside.map((map, part) => map.map((value, i) => value - outside[part][i]));
}

// The k x k bins of a box, row by row.
function binsOf([x1, y1, x2, y2], k) {
  const [wide, high] = [(x2 - x1) / k, (y2 - y1) / k];
  return Array.from({ length: k * k }, (_, index) => {
    const [row, column] = [Math.floor(index / k), index % k];
    const [left, top] = [x1 + column * wide, y1 + row * high];
    return [left, top, left + wide, top + high];
  });
}

// The m x m values of a box, each read between the values of its bin's map, as `assemble` does.
function assembleMaps(maps, { rows, columns }, [x1, y1, x2, y2], k, m, stride) {
  const weigh = (place, size) => {
    if (place < -1 || place > size) return null;
    const inside = Math.min(Math.max(place, 0), size - 1);
    const first = Math.min(Math.floor(inside), Math.max(size - 2, 0));
    return { first, next: Math.min(first + 1, size - 1), part: inside - first };
  };
  const values = [];
  for (let i = 0; i < m; i += 1) {
    const y = weigh((y1 + ((i + 0.5) / m) * (y2 - y1)) / stride, rows);
    for (let j = 0; j < m; j += 1) {
      const x = weigh((x1 + ((j + 0.5) / m) * (x2 - x1)) / stride, columns);
      const map = maps[Math.floor((i * k) / m) * k + Math.floor((j * k) / m)];
      if (!x || !y) {
        values.push(0);
        continue;
      }
      const at = (row, column) => map[row * columns + column];
      const above = (1 - x.part) * at(y.first, x.first) + x.part * at(y.first, x.next);
      const below = (1 - x.part) * at(y.next, x.first) + x.part * at(y.next, x.next);
      values.push((1 - y.part) * above + y.part * below);
    }
  }
  return values;
}

// A function from a value to [red, green, blue]: white at 0, a sign's color at `high`.
function makeTint(signs, high) {
  const channels = (color) => [1, 3, 5].map((i) => parseInt(color.slice(i, i + 2), 16));
  const [negative, positive] = [channels(signs.negative), channels(signs.positive)];
  return (value) => {
    const strength = Math.min(Math.abs(value) / (high || 1), 1);
    const end = value < 0 ? negative : positive;
    return end.map((channel) => Math.round(255 + strength * (channel - 255)));
  };
}

function paint(canvas, values, rows, columns, tint) {
  set(canvas, { width: columns, height: rows });
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(columns, rows);
  values.forEach((value, i) => pixels.data.set([...tint(value), 255], 4 * i));
  context.putImageData(pixels, 0, 0);
}

// One map on the sheet, with a drawing above it for the RoI and its bin.
function addPart(parent, index, k, look) {
  const part = add(parent, "div", { class: "mrcnn-map", "data-part": index + 1 });
  add(part, "canvas", { "aria-hidden": "true" });
  const canvas = part.firstChild;
  const drawing = add(part, "svg", { viewBox: "0 0 100 100", "aria-hidden": "true" });
  const name = add(part, "span", {}, `${index + 1}`);
  name.style.background = look.proposal.color;
  return { canvas, drawing };
}

// A box in fractions of a map, drawn on it.
function addBin(drawing, box, look, width) {
  const size = rectangle(box, 100);
  const line = { fill: "none", "vector-effect": "non-scaling-stroke" };
  add(drawing, "rect", { ...size, ...line, stroke: "white", "stroke-width": width + 2 });
  add(drawing, "rect", { ...size, ...line, stroke: look.proposal.color, "stroke-width": width });
}

// The numbers of the bins, in their corners.
function numbers(bins, look) {
  return bins.map((box, i) => ({ text: `${i + 1}`, box, color: look.proposal.color }));
}

// Buttons of which one is chosen: what is assembled.
function addReadings(parent, act) {
  const field = add(parent, "fieldset");
  add(field, "legend", {}, "Assemble");
  const group = add(field, "div", { class: "mrcnn-controls" });
  const name = `mrcnn-reading-${Math.random()}`; // each view has a choice of its own
  const inputs = Object.entries(READINGS).map(([reading, text]) => {
    const label = add(group, "label", { class: "mrcnn-choice" });
    const input = add(label, "input", { type: "radio", name, value: reading });
    add(label, "span", {}, text);
    input.addEventListener("change", () => act(reading));
    onArrows(input);
    return input;
  });
  const show = (reading) => {
    for (const input of inputs) input.checked = input.value === reading;
  };
  return { show };
}

function inWords(values, reading, k) {
  const above = values.filter((value) => value > 0).length;
  const fraction = `${Math.round((100 * above) / values.length)} %`;
  const what = reading === "mask" ? "belong to the mask" : "are above zero";
  return `Assembled from ${k * k} maps. ${fraction} of its pixels ${what}.`;
}

export default { render };
