// Detections that the reader draws and scores, and their average precision step by step.

const N_RECALLS = 101; // COCO reads the envelope at 0, 0.01, ..., 1
const CHART = { width: 330, height: 168, left: 30, top: 8, right: 8, bottom: 30 };

function letter(index) {
  return String.fromCharCode(65 + index);
}

// Each detection, best score first: its index, the free object that it is matched to or -1, its
// highest IoU with any object, whether it reaches an object that is taken, precision and recall.
function rankDetections(gt, boxes, scores, threshold) {
  const isFree = gt.map(() => true);
  let nCorrect = 0;
  return byScore(scores).map((index, position) => {
    const ious = gt.map((object) => boxIou(boxes[index], object));
    let match = -1;
    ious.forEach((iou, object) => {
      // Of two objects with the same IoU, COCO takes the later one.
      if (isFree[object] && iou >= threshold && (match < 0 || iou >= ious[match])) match = object;
    });
    if (match >= 0) {
      isFree[match] = false;
      nCorrect += 1;
    }
    const best = Math.max(0, ...ious);
    return {
      index,
      match,
      iou: match >= 0 ? ious[match] : best,
      nearest: ious.indexOf(best),
      isTaken: match < 0 && best >= threshold,
      nCorrect,
      precision: nCorrect / (position + 1),
      recall: nCorrect / gt.length,
    };
  });
}

// The best precision at each of 101 recalls or beyond it, 0 where none is reached.
function readEnvelope(ranking) {
  return Array.from({ length: N_RECALLS }, (_, position) => {
    const reached = ranking.filter(({ recall }) => recall >= position * 0.01);
    return Math.max(0, ...reached.map(({ precision }) => precision));
  });
}

function averagePrecision(ranking) {
  return readEnvelope(ranking).reduce((sum, value) => sum + value, 0) / N_RECALLS;
}

// Runs of equal values: [{value, start, end}, ...], the end not included.
function runsOf(values) {
  const runs = [];
  values.forEach((value, position) => {
    const last = runs[runs.length - 1];
    if (last && last.value === value) last.end = position + 1;
    else runs.push({ value, start: position, end: position + 1 });
  });
  return runs;
}

function render({ model, el }) {
  const { left, panel, paper } = makeFrame(model, el, 2);
  const look = model.get("look");
  const tell = makeTeller(model);
  const gt = model.get("gt");
  let selected = 0; // the box that is drawn anew on free paper

  const help = add(left, "p", { class: "mrcnn-hint" });
  const objects = add(paper.drawing, "g", { "pointer-events": "none" });
  addBoxes(objects, paper, gt.map((box) => ({ box, ...look.gt, width: 2 })));
  const held = model.get("boxes").map((_, index) => {
    const style = { ...look.detection, ink: look.ink };
    const get = () => model.get("boxes")[index];
    const one = addHeldBox(paper.drawing, paper, style, get, (box) => change(index, box));
    one.group.addEventListener("focus", () => select(index));
    return one;
  });
  const chips = add(paper.drawing, "g", { "pointer-events": "none" });
  paper.drawing.classList.add("mrcnn-click");
  onDrag(paper.drawing, paper, pressPaper, drawAnew);

  const inputs = addScores();
  const slider = addThreshold();
  const table = add(panel, "table");
  const chart = addChart(panel);
  const says = add(panel, "p", { class: "mrcnn-says", "aria-live": "polite" });

  function select(index) {
    selected = index;
    help.textContent =
      "Drag a box or one of its corners. Drag on free paper to draw box " +
      `${letter(index)} anew. With the keyboard, press Tab to reach a box: arrow keys move it, ` +
      "and arrow keys with Shift resize it.";
  }

  function pressPaper(event) {
    return event.target === paper.drawing ? selected : undefined;
  }

  function drawAnew(x, y, index, at) {
    if (Math.abs(x) < 2 || Math.abs(y) < 2) return;
    const [from, to] = [{ x: Math.round(at.x), y: Math.round(at.y) }, { x, y }];
    const within = (value, most) => Math.min(Math.max(value, 0), most);
    const xs = [within(from.x, paper.width), within(from.x + to.x, paper.width)];
    const ys = [within(from.y, paper.height), within(from.y + to.y, paper.height)];
    const box = [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
    if (box[0] < box[2] && box[1] < box[3]) change(index, box);
  }

  function change(index, box) {
    model.set("boxes", model.get("boxes").map((old, i) => (i === index ? box : old)));
    tell();
  }

  function addScores() {
    const row = add(panel, "div", { class: "mrcnn-controls" });
    add(row, "b", {}, "scores");
    return model.get("scores").map((_, index) => {
      const label = add(row, "label", {}, letter(index));
      const limits = { type: "number", min: 0, max: 1, step: 0.05, style: "width: 4.5em" };
      const input = add(label, "input", { ...limits, "data-lm-suppress-shortcuts": "true" });
      input.addEventListener("input", () => {
        const score = input.valueAsNumber;
        if (!(score >= 0 && score <= 1)) return;
        model.set("scores", model.get("scores").map((old, i) => (i === index ? score : old)));
        tell();
      });
      input.addEventListener("focus", () => select(index));
      onArrows(input);
      return input;
    });
  }

  function addThreshold() {
    const label = add(add(panel, "div", { class: "mrcnn-controls" }), "label", {}, "IoU of at least");
    const input = add(label, "input", { type: "range", min: 0.5, max: 0.95, step: 0.05 });
    const output = add(label, "output");
    input.addEventListener("input", () => {
      model.set("threshold", Number(input.value));
      tell();
    });
    onArrows(input);
    return { input, output };
  }

  function show() {
    const [boxes, scores] = [model.get("boxes"), model.get("scores")];
    const threshold = model.get("threshold");
    const ranking = rankDetections(gt, boxes, scores, threshold);
    held.forEach(({ place }, index) => place(boxes[index], `detection ${letter(index)}`));
    chips.replaceChildren();
    const texts = ranking.map(({ index }) => {
      const text = `${letter(index)} ${number(scores[index], 2)}`;
      return { text, box: boxes[index], color: look.detection.color };
    });
    const names = gt.map((box, index) => ({ text: `${index + 1}`, box, color: look.gt.color }));
    addChips(chips, paper, [...texts, ...names]);
    inputs.forEach((input, index) => {
      if (input.valueAsNumber !== scores[index]) input.value = scores[index];
    });
    slider.input.value = threshold;
    slider.output.textContent = number(threshold, 2);
    fillTable(ranking, scores);
    chart.show(ranking, look);
    says.textContent = inWords(ranking);
  }

  function fillTable(ranking, scores) {
    table.replaceChildren();
    const heads = add(add(table, "thead"), "tr");
    for (const head of ["box", "score", "IoU"]) add(heads, "th", { scope: "col" }, head);
    add(heads, "th", { scope: "col", class: "mrcnn-text" }, "is");
    for (const head of ["precision", "recall"]) add(heads, "th", { scope: "col" }, head);
    const body = add(table, "tbody");
    ranking.forEach((row, position) => {
      const line = add(body, "tr", { "data-outcome": row.match >= 0 ? "correct" : "wrong" });
      add(line, "th", { scope: "row" }, letter(row.index));
      add(line, "td", {}, number(scores[row.index], 2));
      add(line, "td", {}, number(row.iou, 2));
      const cell = add(line, "td", { class: "mrcnn-text" });
      addSwatch(cell, row.match >= 0 ? look.gt : look.negative);
      cell.append(outcome(row));
      add(line, "td", {}, `${row.nCorrect}/${position + 1}`);
      add(line, "td", {}, `${row.nCorrect}/${gt.length}`);
    });
  }

  onChanges(model, ["boxes", "scores", "threshold"], show);
  select(0);
  show();
}

function outcome({ match, isTaken, nearest }) {
  if (match >= 0) return `correct: object ${match + 1}`;
  return isTaken ? `wrong: ${nearest + 1} is taken` : "wrong: too little IoU";
}

// How AP is computed from the envelope, in words.
function inWords(ranking) {
  const runs = runsOf(readEnvelope(ranking));
  const parts = runs
    .filter(({ value }) => value > 0)
    .map(({ value, start, end }) => `${end - start} × ${number(value, 2)}`);
  if (!parts.length) return "No detection is correct. AP = 0.";
  const missing = N_RECALLS - runs.reduce((n, r) => n + (r.value > 0 ? r.end - r.start : 0), 0);
  const never = missing ? ` At ${missing} of the 101 recalls it is 0, since they are never reached.` : "";
  const ap = number(averagePrecision(ranking));
  return `The envelope, read at 101 recalls: AP = (${parts.join(" + ")}) / 101 = ${ap}.${never}`;
}

// The precision-recall curve, its envelope, and the area below.
function addChart(parent) {
  const { width, height, left, top, right, bottom } = CHART;
  const view = { viewBox: `0 0 ${width} ${height}`, width, height };
  const svg = add(parent, "svg", { ...view, style: "background: white; max-width: 100%" });
  set(svg, { "aria-hidden": "true" }); // the table and the sentence say it all
  const x = (recall) => left + recall * (width - left - right);
  const y = (precision) => top + (1 - precision) * (height - top - bottom);
  const text = (parent_, at, words, anchor, color) => {
    const style = { "text-anchor": anchor, "font-size": 11, fill: color };
    add(parent_, "text", { ...at, ...style }, words);
  };

  function show(ranking, look) {
    svg.replaceChildren();
    const line = { stroke: look.gray, "stroke-width": 1 };
    add(svg, "line", { x1: x(0), x2: x(1), y1: y(0), y2: y(0), ...line });
    add(svg, "line", { x1: x(0), x2: x(0), y1: y(0), y2: y(1), ...line });
    for (const tick of [0, 0.5, 1]) {
      text(svg, { x: x(tick), y: y(0) + 13 }, String(tick), "middle", look.ink);
      text(svg, { x: x(0) - 4, y: y(tick) + 4 }, String(tick), "end", look.ink);
    }
    text(svg, { x: x(0.5), y: height - 3 }, "recall", "middle", look.ink);
    text(svg, { x: x(0) + 5, y: y(0) - 5 }, "precision ↑", "start", look.gray);
    for (const { value, start, end } of runsOf(readEnvelope(ranking))) {
      const [from, to] = [x(Math.max(0, start - 1) / 100), x((end - 1) / 100)];
      const area = { x: from, width: Math.max(0, to - from), y: y(value), height: y(0) - y(value) };
      add(svg, "rect", { ...area, fill: look.detection.color, "fill-opacity": 0.18 });
      const edge = { x1: from, x2: to, y1: y(value), y2: y(value), stroke: look.detection.color };
      if (value > 0) add(svg, "line", { ...edge, "stroke-width": 2.5 });
    }
    const points = ranking.map(({ precision, recall }) => `${x(recall)},${y(precision)}`);
    add(svg, "polyline", { points: points.join(" "), fill: "none", ...line });
    for (const { index, precision, recall } of ranking) {
      add(svg, "circle", { cx: x(recall), cy: y(precision), r: 3.5, fill: look.ink });
      const at = { x: x(recall) - 6, y: y(precision) + 12 };
      text(svg, at, letter(index), "end", look.ink);
    }
  }
  return { show };
}

export default { render };
