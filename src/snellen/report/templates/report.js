"use strict";
(() => {
  const root = document.documentElement;
  const words = JSON.parse(document.body.dataset.words || "{}"); // of the page's language, by the English ones
  const say = (text, values = {}) => (words[text] || text).replace(/\{(\w+)\}/g, (_, name) => values[name]);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  // Theme
  const isDark = () => root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  const themeButton = document.getElementById("theme");
  const nameTheme = () => {
    themeButton.setAttribute("aria-label", say(isDark() ? "Switch to light colours" : "Switch to dark colours"));
  };
  themeButton.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("snellen-theme", root.dataset.theme); } catch (error) { /* kept for this visit only */ }
    nameTheme();
  });
  nameTheme();

  // Tables: sort by a column, search, show the first rows or all
  const FIRST_ROWS = 15;
  const compare = (a, b) => {
    const x = a.dataset.sort, y = b.dataset.sort;
    if (x !== undefined || y !== undefined) {
      const p = x === undefined || x === "" ? NaN : Number(x), q = y === undefined || y === "" ? NaN : Number(y);
      if (Number.isNaN(p)) return Number.isNaN(q) ? 0 : null;
      return Number.isNaN(q) ? undefined : p - q;
    }
    return a.textContent.localeCompare(b.textContent, undefined, { numeric: true });
  };
  for (const holder of all(".table")) {
    const body = holder.querySelector("tbody");
    const rows = [...body.rows];
    const search = holder.querySelector("input");
    const more = holder.querySelector(".more");
    let isFull = rows.length <= FIRST_ROWS + 5;
    const refresh = () => {
      const wanted = search ? search.value.trim().toLocaleLowerCase() : "";
      let found = 0;
      for (const row of body.rows) {
        const fits = !wanted || row.textContent.toLocaleLowerCase().includes(wanted);
        if (fits) found += 1;
        row.hidden = !fits || (!isFull && found > FIRST_ROWS);
      }
      if (more) {
        more.hidden = rows.length <= FIRST_ROWS + 5 || found <= FIRST_ROWS;
        more.textContent = isFull
          ? say("Show fewer rows")
          : say("Show all {count} rows", { count: found.toLocaleString("en") });
        more.setAttribute("aria-expanded", String(isFull));
      }
      const count = holder.querySelector(".found");
      if (count) count.textContent = wanted ? say("{count} found", { count: found.toLocaleString("en") }) : "";
    };
    if (search) search.addEventListener("input", refresh);
    if (more) more.addEventListener("click", () => { isFull = !isFull; refresh(); });
    all("th button", holder).forEach((button) => {
      const head = button.parentElement;
      button.addEventListener("click", () => {
        const numbers = head.classList.contains("number");
        const before = head.getAttribute("aria-sort");
        const isRising = before ? before === "descending" : !numbers;
        all("th", holder).forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", isRising ? "ascending" : "descending");
        const sorted = [...body.rows].sort((a, b) => {
          const order = compare(a.cells[head.cellIndex], b.cells[head.cellIndex]);
          if (order === null) return 1;        // what was not measured stays at the end
          if (order === undefined) return -1;
          return isRising ? order : -order;
        });
        body.append(...sorted);
        refresh();
      });
    });
    refresh();
  }

  // Line charts: the values beside the pointer
  const format = (value) => {
    const size = Math.abs(value);
    if (size !== 0 && (size < 1e-4 || size >= 1e7)) return value.toExponential(2);
    if (size !== 0 && size < 1e-2) return String(Number(value.toPrecision(3)));
    if (size >= 1000) return Math.round(value).toLocaleString("en");
    return value.toFixed(size >= 10 ? 1 : 3);
  };
  const axis = (text) => {
    const [p, q, low, high, kind] = text.split(" ");
    const isLog = kind === "log";
    const from = isLog ? Math.log10(low) : Number(low), to = isLog ? Math.log10(high) : Number(high);
    return (pixel) => {
      const value = from + (pixel - p) / (q - p) * (to - from);
      return isLog ? 10 ** value : value;
    };
  };
  const tip = document.getElementById("tip");
  for (const chart of all("svg.lines")) {
    const xAt = axis(chart.dataset.x), yAt = axis(chart.dataset.y);
    const [left, right] = chart.dataset.x.split(" ").map(Number);
    const cross = chart.querySelector(".cross");
    const lines = all(".series", chart).reverse().map((group) => ({
      group,
      name: group.dataset.name,
      points: all(".line", group).flatMap((path) => path.getAttribute("d").slice(1).split("L"))
        .map((pair) => pair.split(" ").map(Number))
        .concat(all(".dot", group).map((dot) => [Number(dot.getAttribute("cx")), Number(dot.getAttribute("cy"))])),
    }));
    all("title", chart).forEach((title) => title.remove()); // the values below the pointer say more
    const hide = () => { tip.hidden = true; cross.classList.remove("on"); };
    chart.addEventListener("pointerleave", hide);
    chart.addEventListener("pointermove", (event) => {
      const frame = chart.getBoundingClientRect();
      const x = (event.clientX - frame.left) / frame.width * chart.viewBox.baseVal.width;
      const y = (event.clientY - frame.top) / frame.height * chart.viewBox.baseVal.height;
      if (x < left - 4 || x > right + 4) { hide(); return; }
      const near = lines.filter((line) => line.points.length).map((line) => {
        const point = line.points.reduce((a, b) => Math.abs(b[0] - x) < Math.abs(a[0] - x) ? b : a);
        return { line, point, distance: Math.abs(point[1] - y) };
      });
      if (!near.length) { hide(); return; }
      const shown = near.length <= 8 ? near : near.slice().sort((a, b) => a.distance - b.distance).slice(0, 6);
      const place = shown.reduce((a, b) => Math.abs(b.point[0] - x) < Math.abs(a.point[0] - x) ? b : a).point[0];
      cross.setAttribute("x1", place);
      cross.setAttribute("x2", place);
      cross.classList.add("on");
      tip.replaceChildren();
      const head = document.createElement("div");
      head.className = "at";
      head.textContent = format(xAt(place));
      tip.append(head);
      for (const { line, point } of shown) {
        const row = document.createElement("div");
        const swatch = document.createElement("i");
        swatch.className = line.group.getAttribute("class");
        const name = document.createElement("span");
        name.dir = "auto";
        name.textContent = line.name;
        const value = document.createElement("b");
        value.textContent = format(yAt(point[1]));
        row.append(swatch, name, value);
        tip.append(row);
      }
      tip.hidden = false;
      const wide = tip.offsetWidth, tall = tip.offsetHeight;
      const toLeft = event.clientX + 16 + wide > root.clientWidth;
      tip.style.left = `${Math.max(4, toLeft ? event.clientX - wide - 14 : event.clientX + 16)}px`;
      tip.style.top = `${Math.max(4, Math.min(event.clientY - 10, innerHeight - tall - 4))}px`;
    });
  }
  // Legends: point at a name, and its line stands out
  for (const legend of all(".legend")) {
    const groups = all(".series", legend.parentElement.querySelector("svg"));
    all("li", legend).forEach((item) => {
      const mark = (isOn) => groups.forEach((group) => {
        group.classList.toggle("faded", isOn && group.dataset.name !== item.dataset.name);
      });
      item.addEventListener("pointerenter", () => mark(true));
      item.addEventListener("pointerleave", () => mark(false));
    });
  }

  // Images: enlarge, and walk with the arrow keys
  const viewer = document.getElementById("viewer");
  const cards = all(".shot");
  let current = 0;
  const show = (place) => {
    current = (place + cards.length) % cards.length;
    const card = cards[current];
    viewer.querySelector(".pair").replaceChildren(...all(".half", card).map((half) => half.cloneNode(true)));
    viewer.querySelector(".said").textContent = card.dataset.caption;
    viewer.querySelector(".place").textContent = say("{place} of {total}", { place: current + 1, total: cards.length });
  };
  if (viewer) {
    cards.forEach((card, place) => card.addEventListener("click", () => { show(place); viewer.showModal(); }));
    viewer.querySelector(".next").addEventListener("click", () => show(current + 1));
    viewer.querySelector(".back").addEventListener("click", () => show(current - 1));
    viewer.querySelector(".close").addEventListener("click", () => viewer.close());
    viewer.addEventListener("click", (event) => { if (event.target === viewer) viewer.close(); });
    viewer.addEventListener("keydown", (event) => {
      if (event.key === "ArrowRight") show(current + 1);
      if (event.key === "ArrowLeft") show(current - 1);
    });
  }

  // Commands: copy
  for (const button of all(".copy")) {
    if (!navigator.clipboard) { button.hidden = true; continue; }
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(button.parentElement.querySelector("code").textContent);
        button.textContent = say("Copied");
      } catch (error) { button.textContent = say("Select and copy"); }
      setTimeout(() => { button.textContent = say("Copy"); }, 1500);
    });
  }

  // Navigation: where the reader is
  const links = new Map(all("nav a").map((link) => [link.hash.slice(1), link]));
  const watch = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      links.forEach((link) => link.removeAttribute("aria-current"));
      links.get(entry.target.id)?.setAttribute("aria-current", "true");
    }
  }, { rootMargin: "-10% 0px -80% 0px" });
  all("main > section").forEach((section) => watch.observe(section));
})();
