"use strict";
// What the page adds where scripts run: values under the pointer, tables that sort, definitions on a tap, a structure that turns.
// Without it the page is complete. It asks for nothing and changes no text.
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const make = (name, attributes = {}, ...children) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  };

  // one box for all that is said beside the pointer
  const tip = make("div", { id: "tip", role: "tooltip", hidden: "" });
  document.body.append(tip);
  const say = (x, y, ...content) => {
    tip.replaceChildren(...content);
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    const left = x + 14 + box.width > innerWidth ? x - box.width - 14 : x + 14;
    const top = y + 14 + box.height > innerHeight ? y - box.height - 14 : y + 14;
    tip.style.left = `${Math.max(left, 4) + scrollX}px`;
    tip.style.top = `${Math.max(top, 4) + scrollY}px`;
  };
  const hush = () => { tip.hidden = true; };
  addEventListener("keydown", (event) => { if (event.key === "Escape") hush(); });

  // words of the house: the browser shows their title by itself, but not on a tap or for the keyboard
  for (const word of all("abbr[title]")) {
    word.dataset.meaning = word.title;
    word.removeAttribute("title");
    const explain = () => {
      const box = word.getBoundingClientRect();
      say(box.left - 14, box.bottom - 8, make("p", {}, word.dataset.meaning));
    };
    for (const name of ["pointerenter", "focus", "click"]) word.addEventListener(name, explain);
    for (const name of ["pointerleave", "blur"]) word.addEventListener(name, hush);
  }

  // values of curves: of a line the point nearest in x, of a mark its own words
  const values = (svg, panels) => {
    const root = svg.querySelector("g");
    const guide = document.createElementNS("http://www.w3.org/2000/svg", "path");
    guide.setAttribute("class", "guide");
    root.append(guide);
    const nearest = (curve, x) => {
      let best = 0;
      curve.x.forEach((at, i) => { if (Math.abs(at - x) < Math.abs(curve.x[best] - x)) best = i; });
      return best;
    };
    const show = (event) => {
      const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
      const panel = panels.find(({ box }) => at.x >= box[0] - 3 && at.x <= box[2] + 3 && at.y >= box[1] && at.y <= box[3]);
      if (!panel) return leave();
      const marks = panel.curves.filter((curve) => curve.x.length === 1 && Math.hypot(curve.x[0] - at.x, curve.y[0] - at.y) < 6);
      const lines = panel.curves.filter((curve) => curve.x.length > 1)
        .map((curve) => [curve, nearest(curve, at.x)]).filter(([curve, i]) => Math.abs(curve.x[i] - at.x) < 12);
      if (!marks.length && !lines.length) return leave();
      const table = make("table");
      if (lines.length) {
        const [first, i] = lines.reduce((a, b) => Math.abs(a[0].x[a[1]] - at.x) <= Math.abs(b[0].x[b[1]] - at.x) ? a : b);
        guide.setAttribute("d", `M${first.x[i]} ${panel.box[1]}V${panel.box[3]}`);
        table.append(make("caption", {}, `${panel.x_label || "x"}: ${first.at[i]}`));
        for (const [curve, j] of lines.sort((a, b) => a[0].y[a[1]] - b[0].y[b[1]])) {
          const dot = make("i");
          dot.style.background = curve.colour;
          table.append(make("tr", {}, make("td", {}, dot, curve.name), make("td", {}, curve.values[j])));
        }
      } else guide.removeAttribute("d");
      for (const mark of marks) table.append(make("tr", {}, make("td", { colspan: 2 }, mark.name)));
      say(event.clientX, event.clientY, table);
    };
    const leave = () => { guide.removeAttribute("d"); hush(); };
    svg.addEventListener("pointermove", show);
    svg.addEventListener("pointerdown", show);
    svg.addEventListener("pointerleave", leave);
  };
  for (const figure of all("figure[data-curves]")) {
    const panels = JSON.parse(figure.dataset.curves);
    for (const svg of all("svg", figure)) values(svg, panels);
  }

  // tables: a heading sorts its column, up, down, and back to the order of the report
  for (const table of all("main table")) {
    const body = table.tBodies[0];
    const rows = [...body.rows];
    const heads = [...table.tHead.rows[0].cells];
    const key = (row, column) => {
      const cell = row.cells[column];
      return cell.dataset.value === undefined ? cell.textContent.trim() : Number(cell.dataset.value);
    };
    const compare = (a, b) => {
      const missing = (value) => value === "–" || value === "";
      if (missing(a) || missing(b)) return missing(a) - missing(b);
      return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
    };
    heads.forEach((head, column) => {
      const button = make("button", { type: "button", title: "Sort" });
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", (event) => {
        if (event.target.closest("abbr")) return;
        const order = { none: "ascending", ascending: "descending", descending: "none" }[head.getAttribute("aria-sort") || "none"];
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        if (order !== "none") head.setAttribute("aria-sort", order);
        const sign = order === "descending" ? -1 : 1;
        const sorted = order === "none" ? rows : [...rows].sort((a, b) => {
          const [x, y] = [key(a, column), key(b, column)];
          return x === "–" || y === "–" ? compare(x, y) : sign * compare(x, y);
        });
        table.classList.toggle("sorted", order !== "none");
        body.append(...sorted);
      });
    });
  }

  // wide tables say that they scroll
  const hints = all(".scroll").map((box) => {
    const hint = make("p", { class: "hint", hidden: "" }, "This table is wider than the page: scroll it sideways →");
    box.before(hint);
    const look = () => { hint.hidden = box.scrollWidth <= box.clientWidth + 1 || box.scrollLeft > 0; };
    box.addEventListener("scroll", look);
    return look;
  });
  const lookAll = () => hints.forEach((look) => look());
  addEventListener("resize", lookAll);
  for (const part of all("details")) part.addEventListener("toggle", lookAll);
  lookAll();

  // links into folded parts open them
  const open = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    for (let part = target; part; part = part.parentElement) if (part.tagName === "DETAILS") part.open = true;
    target.scrollIntoView();
  };
  addEventListener("hashchange", open);
  open();

  // the structure: balls and sticks, back to front; dragged, or turned with the arrow keys
  const turn = (figure, scene) => {
    const canvas = make("canvas", { tabindex: 0, role: "img", "aria-label": "The structure; drag or use the arrow keys to turn it" });
    figure.prepend(canvas);
    figure.classList.add("turning");
    const kinds = make("p", { class: "kinds" });
    for (const { name, colour } of scene.kinds) {
      const dot = make("i");
      dot.style.background = colour;
      kinds.append(make("span", {}, dot, name));
    }
    canvas.after(kinds);
    figure.querySelector("figcaption").append(" Drag it, or use the arrow keys, to turn it.");
    const extent = 0.3 + Math.max(...scene.atoms.map(([x, y, z, r]) => Math.hypot(x, y, z) + r), ...scene.edges.flat().map((p) => Math.hypot(...p)));
    let [azimuth, tilt] = [0.5, 0.25];
    const upward = Math.hypot(...scene.up) ? scene.up.map((v) => v / Math.hypot(...scene.up)) : [0, 0, 1];
    const across = (() => { // any vector at right angles to the one that points up
      const other = Math.abs(upward[0]) < 0.9 ? [1, 0, 0] : [0, 1, 0];
      const dot = other.reduce((sum, v, i) => sum + v * upward[i], 0);
      const flat = other.map((v, i) => v - dot * upward[i]);
      return flat.map((v) => v / Math.hypot(...flat));
    })();
    const third = [0, 1, 2].map((i) => upward[(i + 1) % 3] * across[(i + 2) % 3] - upward[(i + 2) % 3] * across[(i + 1) % 3]);
    const along = (p, axis) => p[0] * axis[0] + p[1] * axis[1] + p[2] * axis[2];
    const project = (p) => {
      const [a, b, c] = [along(p, across), along(p, third), along(p, upward)];
      const x = a * Math.cos(azimuth) - b * Math.sin(azimuth);
      const depth = a * Math.sin(azimuth) + b * Math.cos(azimuth);
      return [x, -(c * Math.cos(tilt) + depth * Math.sin(tilt)), c * Math.sin(tilt) - depth * Math.cos(tilt)];
    };
    const draw = () => {
      const size = canvas.clientWidth;
      const ratio = devicePixelRatio || 1;
      canvas.width = canvas.height = Math.round(size * ratio);
      const context = canvas.getContext("2d");
      const scale = size * ratio / (2 * extent);
      const middle = size * ratio / 2;
      const place = ([x, y]) => [middle + scale * x, middle + scale * y];
      const style = getComputedStyle(document.documentElement);
      const line = (a, b, colour, width) => {
        context.strokeStyle = colour;
        context.lineWidth = width * ratio;
        context.beginPath();
        context.moveTo(...place(a));
        context.lineTo(...place(b));
        context.stroke();
      };
      context.clearRect(0, 0, canvas.width, canvas.height);
      for (const [a, b] of scene.edges) line(project(a), project(b), style.getPropertyValue("--muted"), 0.8);
      const flat = scene.atoms.map((atom) => project(atom));
      const items = flat.map((p, i) => [p[2], () => {
        const [x, y] = place(p);
        const radius = scale * scene.atoms[i][3];
        const { colour } = scene.kinds[scene.atoms[i][4]];
        const light = context.createRadialGradient(x - radius / 3, y - radius / 3, radius / 8, x, y, radius);
        light.addColorStop(0, "#fff");
        light.addColorStop(0.35, colour);
        light.addColorStop(1, colour);
        context.fillStyle = light;
        context.strokeStyle = "#404040";
        context.lineWidth = 0.6 * ratio;
        context.beginPath();
        context.arc(x, y, radius, 0, 2 * Math.PI);
        context.fill();
        context.stroke();
      }]);
      for (const [i, j] of scene.bonds) {
        const half = flat[i].map((v, k) => (v + flat[j][k]) / 2);
        const back = Math.min(flat[i][2], flat[j][2]);
        for (const end of [i, j]) items.push([back - 1e-3, () => line(flat[end], half, scene.kinds[scene.atoms[end][4]].colour, 2.5)]);
      }
      items.sort((a, b) => a[0] - b[0]).forEach(([, paint]) => paint());
      canvas.dataset.turned = `${azimuth.toFixed(2)} ${tilt.toFixed(2)}`;
    };
    const by = (x, y) => {
      azimuth += x;
      tilt = Math.max(-1.57, Math.min(1.57, tilt + y));
      draw();
    };
    let last = null;
    canvas.addEventListener("pointerdown", (event) => {
      last = event;
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!last) return;
      by((event.clientX - last.clientX) / 120, (event.clientY - last.clientY) / 120);
      last = event;
    });
    canvas.addEventListener("pointerup", () => { last = null; });
    canvas.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [-0.15, 0], ArrowRight: [0.15, 0], ArrowUp: [0, -0.15], ArrowDown: [0, 0.15] }[event.key];
      if (step) { event.preventDefault(); by(...step); }
    });
    addEventListener("resize", draw);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
    draw();
  };
  for (const figure of all("figure[data-scene]")) turn(figure, JSON.parse(figure.dataset.scene));
})();
