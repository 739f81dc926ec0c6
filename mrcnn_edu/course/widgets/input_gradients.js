// Detections to click, and the gradients of what is predicted for the chosen one.

function render({ model, el }) {
  const { left, panel, paper } = makeFrame(model, el, 0);
  const look = model.get("look");
  const tell = makeTeller(model);
  const [boxes, names] = [model.get("boxes"), model.get("names")];
  const help =
    "Click a detection. With the keyboard, press Tab to reach the picture, and go from detection " +
    "to detection with the arrow keys.";
  add(left, "p", { class: "mrcnn-hint" }, help);

  const choice = addOutputs(panel, model.get("outputs"), (output) => {
    model.set("output", output);
    tell();
  });
  const says = add(panel, "p", { class: "mrcnn-says mrcnn-long", "aria-live": "polite" });
  let opacity = 1;
  const label = add(add(panel, "div", { class: "mrcnn-controls" }), "label");
  const box = add(label, "input", { type: "checkbox", checked: "" });
  label.append("Show the gradients instead of the image");
  box.addEventListener("change", () => {
    opacity = box.checked ? 1 : 0;
    show();
  });

  const { drawing, scale } = paper;
  drawing.classList.add("mrcnn-click");
  set(drawing, { tabindex: 0, role: "application", "aria-roledescription": "detections" });
  const size = { width: paper.width * scale, height: paper.height * scale };
  const map = add(drawing, "image", { x: 0, y: 0, ...size, preserveAspectRatio: "none" });
  const layers = add(drawing, "g", { "pointer-events": "none" });
  drawing.addEventListener("click", (event) => choose(nearestBox(boxes, paper.locate(event))));
  onArrows(drawing, (right, down) => {
    const n = boxes.length;
    choose((model.get("detection") + right + down + n) % n);
  });

  function choose(index) {
    model.set("detection", index);
    tell();
  }

  function show() {
    const [index, output] = [model.get("detection"), model.get("output")];
    choice.show(output);
    set(map, { href: model.get("urls")[index][output], opacity });
    layers.replaceChildren();
    const style = (i) => ({
      ...look.detection, width: i === index ? 3 : 1, opacity: i === index ? 1 : 0.6,
    });
    addBoxes(layers, paper, boxes.map((corners, i) => ({ box: corners, ...style(i) })));
    const chip = { text: names[index], box: boxes[index], color: look.detection.color };
    addChips(layers, paper, [chip]);
    const inside = model.get("inside")[index][output];
    const words =
      `Detection ${index + 1} of ${boxes.length}, ${names[index]}, ${output}: ` +
      `${number(100 * inside, 0)} % of the gradient lies inside the box.`;
    says.textContent = words;
    set(drawing, { "aria-label": words });
  }

  onChanges(model, ["detection", "output"], show);
  show();
}

// The box that a point lies in, the smallest one first; or else the one with the nearest center.
function nearestBox(boxes, { x, y }) {
  const holding = boxes
    .map((box, index) => ({ box, index }))
    .filter(({ box }) => box[0] <= x && x <= box[2] && box[1] <= y && y <= box[3]);
  holding.sort((a, b) => boxArea(a.box) - boxArea(b.box));
  if (holding.length) return holding[0].index;
  const distances = boxes.map((box) => {
    const center = centerAndSize(box);
    return Math.hypot(center.x - x, center.y - y);
  });
  return distances.indexOf(Math.min(...distances));
}

// Buttons of which one is chosen: the outputs.
function addOutputs(parent, outputs, act) {
  const field = add(parent, "fieldset");
  add(field, "legend", {}, "Gradient of the");
  const group = add(field, "div", { class: "mrcnn-controls" });
  const name = `mrcnn-output-${Math.random()}`; // each view has a choice of its own
  const inputs = outputs.map((output) => {
    const label = add(group, "label", { class: "mrcnn-choice" });
    const input = add(label, "input", { type: "radio", name, value: output });
    add(label, "span", {}, output);
    input.addEventListener("change", () => act(output));
    onArrows(input);
    return input;
  });
  return { show: (output) => inputs.forEach((input) => (input.checked = input.value === output)) };
}

export default { render };
