// A class confusion matrix whose cells open the objects that are counted in them.

const THUMB = 104; // pixels of the screen along the side of an object's picture

function render({ model, el }) {
  const { left, panel, paper } = makeFrame(model, el, 0);
  paper.root.remove(); // the images are shown object by object
  const look = model.get("look");
  const tell = makeTeller(model);
  const [rows, columns] = [model.get("rows"), model.get("columns")];
  const [counts, shades] = [model.get("counts"), model.get("shades")];
  const buttons = addMatrix(left);
  const says = add(panel, "p", { class: "mrcnn-says", "aria-live": "polite" });
  const thumbs = add(panel, "div", { class: "mrcnn-thumbs" });
  addLegend(panel);

  function addMatrix(parent) {
    const table = add(parent, "table", { class: "mrcnn-matrix" });
    add(table, "caption", {}, "what is there (rows), and what it was detected as (columns)");
    const heads = add(add(table, "thead"), "tr");
    add(heads, "th");
    for (const column of columns) add(heads, "th", { scope: "col" }, column);
    const body = add(table, "tbody");
    return rows.map((row, r) => {
      const line = add(body, "tr");
      add(line, "th", { scope: "row" }, row);
      return columns.map((column, c) => {
        const button = addButton(add(line, "td"), String(counts[r][c] || ""), () => open(r, c));
        button.style.background = shades[r][c];
        button.style.color = isDark(shades[r][c]) ? "white" : look.ink;
        set(button, { "aria-label": `${row} as ${column}: ${counts[r][c]}` });
        onArrows(button, (right, down) => {
          buttons[r + down]?.[c + right]?.focus();
        });
        return button;
      });
    });
  }

  function open(row, column) {
    model.set("cell", [row, column]);
    tell();
  }

  function show() {
    const [row, column] = model.get("cell");
    buttons.forEach((line, r) =>
      line.forEach((button, c) => {
        set(button, { "aria-pressed": String(r === row && c === column) });
      }),
    );
    const items = model.get("items")[`${row},${column}`] ?? [];
    says.textContent = inWords(row, column, items.length);
    thumbs.replaceChildren();
    for (const item of items) addThumb(thumbs, item);
  }

  function inWords(row, column, shown) {
    const n = counts[row][column];
    const isMissed = column === columns.length - 1;
    const isExtra = row >= rows.length - 2;
    const what = isExtra ? rows[row] : `object of the class ${rows[row]}`;
    const as = isMissed ? "that no detection is paired with" : `detected as ${columns[column]}`;
    const some = n > shown ? ` The first ${shown} are shown.` : "";
    return `${what}, ${as}: ${n}.${some}`;
  }

  function addThumb(parent, { window: [x, y, side], title, paths }) {
    const figure = add(parent, "figure");
    const view = { viewBox: `${x} ${y} ${side} ${side}`, width: THUMB, height: THUMB };
    const svg = add(figure, "svg", { ...view, role: "img", "aria-label": title });
    const [height, width] = model.get("size");
    add(svg, "image", { href: model.get("source"), width, height });
    const unit = side / THUMB;
    for (const [stroke, wide] of [["white", 5], ["", 2.4]]) {
      for (const [role, d] of Object.entries(paths)) {
        const color = stroke || look[role].color;
        add(svg, "path", { d, stroke: color, "stroke-width": wide * unit, fill: "none" });
      }
    }
    add(figure, "figcaption", {}, title);
  }

  function addLegend(parent) {
    const legend = add(parent, "p", { class: "mrcnn-hint" });
    for (const [name, style] of [["ground truth", look.gt], ["detection", look.detection]]) {
      const entry = add(legend, "span", { class: "mrcnn-entry" });
      addSwatch(entry, style);
      entry.append(name);
    }
  }

  onChanges(model, ["cell"], show);
  show();
}

// Whether white text is easier to read on a color "rgb(r g b)" than black text is.
function isDark(color) {
  const [r, g, b] = color.match(/\d+/g).map(Number);
  return 0.3 * r + 0.6 * g + 0.1 * b < 128;
}

export default { render };
