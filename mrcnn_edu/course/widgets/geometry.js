// The geometry of boxes [x1, y1, x2, y2]: the same formulas as in boxes.py and nms.py, so that the
// browser need not ask Python. tests/test_touchables.py compares the two.

function boxArea(box) {
  return (box[2] - box[0]) * (box[3] - box[1]);
}

function boxIntersection(a, b) {
  const width = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
  const height = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  return Math.max(0, width) * Math.max(0, height);
}

// Intersection over union; 0 for two boxes without area.
function boxIou(a, b) {
  const intersection = boxIntersection(a, b);
  const union = boxArea(a) + boxArea(b) - intersection;
  return union > 0 ? intersection / union : 0;
}

function centerAndSize(box) {
  return {
    x: (box[0] + box[2]) / 2,
    y: (box[1] + box[3]) / 2,
    width: box[2] - box[0],
    height: box[3] - box[1],
  };
}

// The deltas [dx, dy, dw, dh] that turn the anchor into the box.
function encodeBox(box, anchor) {
  const to = centerAndSize(box);
  const from = centerAndSize(anchor);
  return [
    (to.x - from.x) / from.width,
    (to.y - from.y) / from.height,
    Math.log(to.width / from.width),
    Math.log(to.height / from.height),
  ];
}

// Indices of the boxes, best score first; equal scores keep their order.
function byScore(scores) {
  return scores.map((_, index) => index).sort((i, j) => scores[j] - scores[i] || i - j);
}

// Greedy NMS, one step for each box that is kept: {kept, suppressed: [{index, iou}, ...]}.
// Boxes with different labels do not compete.
function nmsSteps(boxes, scores, labels, threshold) {
  const steps = [];
  let left = byScore(scores);
  while (left.length) {
    const kept = left[0];
    const suppressed = [];
    const stay = [];
    for (const index of left.slice(1)) {
      const iou = boxIou(boxes[kept], boxes[index]);
      const competes = labels[index] === labels[kept];
      if (competes && iou > threshold) suppressed.push({ index, iou });
      else stay.push(index);
    }
    steps.push({ kept, suppressed });
    left = stay;
  }
  return steps;
}
