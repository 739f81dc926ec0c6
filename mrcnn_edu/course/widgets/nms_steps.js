// Greedy NMS, a step for each box that is kept.

const ALL_NAMED = 12; // up to so many boxes, each has its number in the drawing
const MOST_LISTED = 8; // suppressed boxes that the sentence names

function render({ model, el }) {
  const { left, panel, paper } = makeFrame(model, el, 3);
  const look = model.get("look");
  const tell = makeTeller(model);
  const [boxes, scores] = [model.get("boxes"), model.get("scores")];
  const [labels, names] = [model.get("labels"), model.get("names")];
  const order = byScore(scores);
  const rank = new Map(order.map((index, position) => [index, position + 1]));

  addLegend(left, look);
  const controls = add(panel, "div", { class: "mrcnn-controls" });
  const back = addButton(controls, "Back", () => go(model.get("step") - 1));
  const next = addButton(controls, "Next", () => go(model.get("step") + 1));
  const reset = addButton(controls, "Reset", () => go(0));
  const slider = addThreshold(panel, (threshold) => {
    model.set("threshold", threshold);
    model.set("step", Math.min(model.get("step"), steps().length));
    tell();
  });
  const says = add(panel, "p", { class: "mrcnn-says", "aria-live": "polite" });
  const region = { role: "region", tabindex: 0, "aria-label": "All boxes, best score first" };
  const scroll = add(panel, "div", { class: "mrcnn-scroll", ...region });
  const table = add(scroll, "table");
  const drawing = add(paper.drawing, "g", { "aria-hidden": "true" }); // the table says it all

  function steps() {
    return nmsSteps(boxes, scores, labels, model.get("threshold"));
  }

  function go(step) {
    model.set("step", Math.min(Math.max(step, 0), steps().length));
    tell();
  }

  function show() {
    const all = steps();
    const step = Math.min(model.get("step"), all.length);
    const states = statesAfter(all, step);
    enable(back, step > 0);
    enable(reset, step > 0);
    enable(next, step < all.length);
    slider.show(model.get("threshold"));
    says.textContent = inWords(all, step);
    drawing.replaceChildren();
    drawStates(states);
    fillTable(states);
    const now = table.querySelector(".mrcnn-now");
    scroll.scrollTop = now ? now.offsetTop - scroll.clientHeight / 2 : 0;
  }

  // Each box's state after a step: {state, by, iou}.
  function statesAfter(all, step) {
    const states = boxes.map(() => ({ state: "left" }));
    all.slice(0, step).forEach(({ kept, suppressed }, position) => {
      const isNow = position === step - 1;
      states[kept] = { state: "kept", isNow };
      for (const { index, iou } of suppressed) {
        states[index] = { state: "gone", by: kept, iou, isNow };
      }
    });
    return states;
  }

  function inWords(all, step) {
    if (!boxes.length) return "There are no boxes.";
    if (step === 0) return `${count(boxes.length, "box", "boxes")}, best score first. Press Next.`;
    const { kept, suppressed } = all[step - 1];
    const left = boxes.length - all.slice(0, step).reduce((n, s) => n + 1 + s.suppressed.length, 0);
    const title = `Step ${step} of ${all.length}: keep box ${rank.get(kept)}`;
    const score = `the best score that is left (${number(scores[kept], 2)})`;
    const list = suppressed.map(({ index }) => rank.get(index));
    const some = list.length === 1 ? `box ${list[0]}` : `boxes ${list.join(", ")}`;
    const many = list.length > MOST_LISTED ? `${list.length} boxes` : some;
    const effect = list.length ? `It suppresses ${many}.` : "It suppresses no other box.";
    const rest = left
      ? `${count(left, "box is", "boxes are")} left.`
      : `No box is left: NMS has kept ${all.length} of ${boxes.length}.`;
    return `${title}, ${score}. ${effect} ${rest}`;
  }

  function drawStates(states) {
    const kinds = {
      gone: { color: look.gray, width: 1, dashes: [3, 3], opacity: 0.75 },
      left: { ...look.proposal, width: 1.5 },
      goneNow: suppressedStyle(look),
      kept: { ...look.detection, width: 2.5 },
      keptNow: { ...look.detection, width: 4, fill: look.detection.color },
    };
    const kindOf = ({ state, isNow }) => (isNow ? `${state}Now` : state);
    const drawn = Object.keys(kinds).flatMap((kind) =>
      order
        .filter((index) => kindOf(states[index]) === kind)
        .map((index) => ({ box: boxes[index], ...kinds[kind] })),
    );
    addBoxes(drawing, paper, drawn);
    const chips = [];
    for (const kind of ["keptNow", "goneNow", "kept", "left"]) {
      if (kind === "left" && boxes.length > ALL_NAMED) continue;
      for (const index of order.filter((one) => kindOf(states[one]) === kind)) {
        const iou = kind === "goneNow" ? `: IoU ${number(states[index].iou, 2)}` : "";
        const { color } = kinds[kind];
        chips.push({ text: `${rank.get(index)}${iou}`, box: boxes[index], color });
      }
    }
    addChips(drawing, paper, chips);
  }

  function fillTable(states) {
    table.replaceChildren();
    const heads = add(add(table, "thead"), "tr");
    add(heads, "th", { scope: "col" }, "box");
    if (names.length) add(heads, "th", { scope: "col", class: "mrcnn-text" }, "class");
    add(heads, "th", { scope: "col" }, "score");
    add(heads, "th", { scope: "col", class: "mrcnn-text" }, "state");
    const body = add(table, "tbody");
    for (const index of order) {
      const { state, by, iou, isNow } = states[index];
      const row = add(body, "tr", { "data-state": state });
      row.classList.toggle("mrcnn-now", Boolean(isNow && state === "kept"));
      row.classList.toggle("mrcnn-gone", state === "gone" && !isNow);
      add(row, "th", { scope: "row" }, String(rank.get(index)));
      if (names.length) add(row, "td", { class: "mrcnn-text" }, names[index]);
      add(row, "td", {}, number(scores[index], 2));
      const cell = add(row, "td", { class: "mrcnn-text" });
      const styles = { left: look.proposal, kept: look.detection };
      addSwatch(cell, styles[state] ?? suppressedStyle(look));
      cell.append(
        state === "gone" ? `suppressed by ${rank.get(by)}, IoU ${number(iou, 2)}` : state,
      );
    }
  }

  onChanges(model, ["threshold", "step"], show);
  show();
}

function addThreshold(parent, act) {
  const label = add(add(parent, "div", { class: "mrcnn-controls" }), "label", {}, "IoU threshold ");
  const input = add(label, "input", { type: "range", min: 0, max: 1, step: 0.05 });
  const output = add(label, "output");
  input.addEventListener("input", () => act(Number(input.value)));
  onArrows(input);
  const show = (threshold) => {
    input.value = threshold;
    output.textContent = number(threshold, 2);
  };
  return { show };
}

function suppressedStyle(look) {
  return { color: look.ink, dashes: [3, 2], width: 1.5 };
}

function addLegend(parent, look) {
  const legend = add(parent, "p", { class: "mrcnn-hint" });
  const entries = [
    ["left", look.proposal],
    ["kept", look.detection],
    ["suppressed", suppressedStyle(look)],
  ];
  for (const [name, style] of entries) {
    const entry = add(legend, "span", { class: "mrcnn-entry" });
    addSwatch(entry, style);
    entry.append(name);
  }
}

export default { render };
