"use strict";

// Tables that are sorted by a click on a heading; those with tools are filtered, and their columns are chosen. Values of
// charts under the pointer. Written by hand: a library for this would be larger than all else on the page, which loads
// nothing from elsewhere. Without scripts everything is on the page, tables as they are written.
for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    heading.addEventListener("click", () => { // with the room above its button
      const falling = heading.getAttribute("aria-sort") === "ascending";
      headings.forEach((other) => other.setAttribute("aria-sort", "none"));
      heading.setAttribute("aria-sort", falling ? "descending" : "ascending");
      const rows = [...table.tBodies[0].rows].map((row) => [valueOf(row.cells[column]), row]);
      rows.sort(([a], [b]) => compare(a, b, falling ? -1 : 1));
      table.tBodies[0].append(...rows.map(([, row]) => row));
    });
  });
  table.addEventListener("pointerover", ({ target }) => {
    const cell = target.closest("td[data-value]");
    if (cell?.dataset.value && !cell.title) cell.title = `${nameOf(headings[cell.cellIndex])}: ${cell.dataset.value}`;
  });
  if (table.dataset.tools !== undefined && table.tBodies[0].rows.length > 1) addTools(table, headings);
}

function nameOf(heading) {
  return heading.textContent.trim();
}

function valueOf(cell) {
  const value = cell.classList.contains("n") ? cell.textContent : cell.dataset.value;
  if (value === undefined) return cell.title || cell.textContent;
  return value === "" ? null : Number(value.replace("inf", "Infinity"));
}

function compare(a, b, direction) {
  if (a === null || b === null) return (a === null) - (b === null);
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
  return direction * (typeof a === "number" ? a - b : compareTexts(a, b));
}

// Texts by the numbers in them: lr=0.0001 before lr=0.001 before lr=1e-2, seed=2 before seed=10.
function compareTexts(a, b) {
  const [first, second] = [partsOf(a), partsOf(b)];
  for (let i = 0; i < Math.min(first.length, second.length); i++) {
    const order = i % 2 ? first[i] - second[i] : first[i].localeCompare(second[i], "en");
    if (order) return order;
  }
  return first.length - second.length;
}

function partsOf(text) {
  return text.split(/((?:(?<=^|[=\s,(])-)?\d+(?:\.\d+)?(?:e[-+]?\d+)?(?![\da-z]))/i).map((part, i) => (i % 2 ? Number(part) : part));
}

// A filter, the choice of columns, and a switch for those that are hidden at first: marked so, or of one value.
function addTools(table, headings) {
  const rows = [...table.tBodies[0].rows], box = table.closest(".scroll"), name = box.getAttribute("aria-label");
  const texts = rows.map((row) => headings.map((of, i) => `${nameOf(of)}=${row.cells[i].title || row.cells[i].textContent}`));
  const tools = made("div", { className: "tools" });
  tools.setAttribute("role", "group");
  tools.setAttribute("aria-label", `Tools of ${name}`);

  const filter = made("input", { type: "search", placeholder: "words, such as seed=1" });
  const count = made("span", { className: "note" });
  count.setAttribute("role", "status");
  const search = texts.map((cells) => cells.join(" ").toLowerCase());
  const show = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    rows.forEach((row, i) => { row.hidden = !words.every((word) => search[i].includes(word)); });
    count.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} rows`;
  };
  filter.addEventListener("input", show);
  show();

  const valuesOf = (i) => rows.map((row) => row.cells[i].textContent);
  const same = headings.map((of, i) => i > 0 && !of.hasAttribute("data-keep") && new Set(valuesOf(i)).size === 1);
  const hidden = headings.map((of, i) => same[i] || of.hasAttribute("data-hide"));
  const boxes = headings.map((of, i) => {
    const choice = made("input", { type: "checkbox", checked: !hidden[i] });
    choice.addEventListener("change", () => showColumn(i, choice.checked));
    return choice;
  });
  const showColumn = (i, shown) => {
    boxes[i].checked = shown;
    for (const row of [table.tHead.rows[0], ...rows]) row.cells[i].hidden = !shown;
  };
  const columns = made("details", { className: "columns" });
  const list = made("div");
  list.append(...boxes.map((choice, i) => label(choice, nameOf(headings[i]))));
  columns.append(made("summary", { textContent: "Columns" }), list);
  columns.addEventListener("keydown", (event) => { if (event.key === "Escape") columns.open = false; });

  tools.append(label(filter, "Filter", true), count, columns);
  if (hidden.includes(true)) {
    const known = headings.map((of, i) => [nameOf(of), rows[0].cells[i].textContent]).filter(([, text], i) => same[i] && text !== "-");
    const all = made("input", { type: "checkbox" });
    const set = () => headings.forEach((_, i) => { if (hidden[i]) showColumn(i, all.checked); });
    all.addEventListener("change", set);
    set();
    const values = known.map((pair) => pair.join(" = ")).join(", ");
    tools.append(label(all, `Also show hidden columns${values && ` (the same in every row: ${values})`}`));
  }
  box.before(tools);
}

function made(name, properties = {}) {
  return Object.assign(document.createElement(name), properties);
}

function label(control, text, isFirst = false) {
  const of = made("label");
  of.append(...(isFirst ? [`${text} `, control] : [control, ` ${text}`]));
  return of;
}

// A button that copies a command.
for (const command of document.querySelectorAll("pre")) {
  const button = made("button", { type: "button", className: "copy", textContent: "Copy" });
  button.setAttribute("aria-label", "Copy the command");
  button.addEventListener("click", async () => {
    getSelection().selectAllChildren(command);
    try {
      await navigator.clipboard.writeText(command.textContent);
    } catch {
      document.execCommand("copy"); // of what is selected: where a page from a file may not use the clipboard
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
  const box = made("div", { className: "command" });
  command.before(box);
  box.append(command, button);
}

// The value of a chart that is nearest to the pointer.
const NEAR = 40; // pixels
for (const figure of document.querySelectorAll("figure:has(script)")) {
  const image = figure.querySelector("img"), points = pointsOf(JSON.parse(figure.querySelector("script").textContent));
  const tip = made("div", { className: "tip", hidden: true }), ring = made("div", { className: "ring", hidden: true });
  const area = image.parentElement;
  area.append(ring, tip);
  const hide = () => { tip.hidden = ring.hidden = true; };
  area.addEventListener("pointerleave", hide);
  area.addEventListener("pointermove", ({ clientX, clientY }) => {
    const { left, top, width, height } = image.getBoundingClientRect();
    const far = ({ x, y }) => Math.hypot(left + x * width - clientX, top + y * height - clientY);
    const nearest = points.reduce((best, point) => (far(point) < far(best) ? point : best), { x: 9, y: 9 });
    if (far(nearest) > NEAR) return hide();
    tip.hidden = ring.hidden = false;
    tip.textContent = nearest.text;
    const [x, y] = [image.offsetLeft + nearest.x * width, image.offsetTop + nearest.y * height];
    Object.assign(ring.style, { left: `${x}px`, top: `${y}px` });
    const room = area.clientWidth - tip.offsetWidth;
    Object.assign(tip.style, { left: `${Math.max(0, Math.min(x + 12, room))}px`, top: `${y + (y > 60 ? -14 - tip.offsetHeight : 14)}px` });
  });
}

// Places, as fractions of the picture, and texts of the values of a chart.
function pointsOf(charts) {
  return charts.flatMap(({ box: [left, top, width, height], x, y, lines }) => {
    const place = (axis, value) => {
      const [from, to, at] = [...axis.limits, value].map(axis.log ? Math.log : Number);
      return (at - from) / (to - from);
    };
    const text = (axis, value) => {
      if (axis.names) return axis.names[Math.floor(value)]; // seeds are a little below their group
      return `${axis.name}: ${axis.percent ? `${Number((100 * value).toPrecision(4))} %` : value}`;
    };
    return lines.flatMap(([name, xs, ys]) => xs.map((value, i) => ({
      x: left + width * place(x, value),
      y: top + height * (1 - place(y, ys[i])),
      text: [name, text(x, value), text(y, ys[i])].filter(Boolean).join("\n"),
    })));
  });
}
