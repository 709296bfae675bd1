// Steps through the frames of a trace. The picture is drawn already; this repaints its cells.
(function () {
  "use strict";
  const id = "TRACE_ID";
  const COLORS = { read: "#3b82c4", write: "#2e8b57", atomic: "#8e5bb5", barrier: "#8a8f98", race: "#d93025" };
  const INK = "var(--jp-content-font-color1, #1d1f24)";
  const EMPTY = "var(--jp-layout-color2, #f4f4f4)";
  const LINE = "var(--jp-border-color2, #d8d8d8)";

  function start(root) {
    const data = JSON.parse(root.dataset.story);
    const pick = (name) => root.querySelector(`[data-part="${name}"]`);
    const all = (name) => Array.from(root.querySelectorAll(`[data-part="${name}"]`));
    const cells = new Map(all("cell").map((node) => [node.dataset.key, node]));
    const people = all("who");
    const lines = new Map(all("line").map((node) => [Number(node.dataset.line), node]));
    const bars = all("bar");
    const slider = pick("slider");
    const chooser = pick("group");
    let now = data.start;
    let group = data.group;
    let timer = null;

    const hue = (lane) => `hsl(${45 + Math.round((lane * 280) / data.lanes)}, 58%, 44%)`;
    const mine = (g) => group < 0 || g === group;

    function put(node, fill, stroke, text, ink, opacity) {
      const [box, label] = [node.children[0], node.children[1]];
      box.style.fill = fill;
      box.style.stroke = stroke;
      box.style.fillOpacity = opacity;
      if (label) {
        label.textContent = text;
        label.style.fill = ink;
      }
    }

    // Who touched what since the last barrier that this workgroup waited at.
    function before() {
      const seen = new Map();
      for (let n = 0; n < now; n++) {
        const frame = data.frames[n];
        if (frame.k === "barrier") {
          for (const key of Array.from(seen.keys())) if (frame.g.some(mine)) seen.delete(key);
          continue;
        }
        for (const [g, lane, element] of frame.t) if (mine(g)) seen.set(`${frame.v}:${element}`, lane);
      }
      return seen;
    }

    function races() {
      return data.races.filter((race) => race.s <= now && now < race.u && mine(race.g));
    }

    function paint() {
      const frame = data.frames[now];
      for (const node of cells.values()) put(node, EMPTY, LINE, "", INK, 1);
      for (const [key, lane] of before()) {
        const node = cells.get(key);
        if (node) put(node, hue(lane), LINE, "", INK, 0.22);
      }
      const here = new Map();
      const active = new Set();
      for (const [g, lane, element] of frame.t || []) {
        if (!mine(g)) continue;
        const key = `${frame.v}:${element}`;
        if (!here.has(key)) here.set(key, new Set());
        here.get(key).add(lane);
        active.add(lane);
      }
      for (const [key, lanes] of here) {
        const node = cells.get(key);
        if (!node) continue;
        const one = lanes.size === 1 ? [...lanes][0] : null;
        const color = one === null ? "#6b7280" : hue(one);
        const text = one === null ? `${lanes.size}x` : String(one);
        if (frame.k === "read") put(node, color, color, text, INK, 0.4);
        else put(node, color, color, text, "#ffffff", 1);
      }
      const hot = races();
      for (const race of hot) {
        const node = cells.get(`${race.v}:${race.e}`);
        const now_here = [...(here.get(`${race.v}:${race.e}`) || [])];
        const text = now_here.length === 1 ? String(now_here[0]) : now_here.length ? "!" : "";
        if (node) put(node, COLORS.race, COLORS.race, text, "#ffffff", 1);
      }
      people.forEach((node, lane) => {
        const waits = frame.k === "barrier";
        const on = active.has(lane) || waits;
        put(node, on ? (waits ? COLORS.barrier : hue(lane)) : EMPTY, LINE, String(lane), on ? "#ffffff" : INK, 1);
        if (node.children[1]) node.children[1].style.opacity = on ? 1 : 0.45;
      });
      for (const [number, node] of lines) {
        node.style.background = number === frame.l ? "rgba(224, 163, 38, 0.25)" : node.dataset.back;
      }
      // The listing scrolls in its own box; the notebook stays where it is.
      const line = lines.get(frame.l);
      const box = pick("listing");
      if (line && (line.offsetTop < box.scrollTop || line.offsetTop > box.scrollTop + box.clientHeight - 40)) {
        box.scrollTop = line.offsetTop - box.clientHeight / 2;
      }
      bars.forEach((bar, n) => (bar.style.opacity = n === now ? 1 : 0.38));
      pick("count").textContent = `step ${now + 1} of ${data.frames.length}`;
      pick("said").textContent = frame.s;
      pick("code").textContent = `line ${frame.l}: ${data.source[frame.l] || ""}`;
      const fresh = hot.find((race) => race.s === now);
      const shown = fresh || hot[0];
      pick("race").textContent = shown ? `Race: ${shown.w}.` : "";
      slider.value = now;
    }

    function go(n) {
      now = Math.max(0, Math.min(data.frames.length - 1, n));
      paint();
    }
    function stop() {
      clearInterval(timer);
      timer = null;
      pick("play").textContent = "play";
    }
    const on = (name, action) => {
      const node = pick(name);
      if (node) node.addEventListener("click", action);
    };
    on("first", () => (stop(), go(0)));
    on("back", () => (stop(), go(now - 1)));
    on("next", () => (stop(), go(now + 1)));
    on("barrier", () => {
      stop();
      const after = data.frames.findIndex((frame, n) => n > now && frame.k === "barrier");
      go(after < 0 ? data.frames.length - 1 : after);
    });
    on("torace", () => {
      stop();
      const marks = data.races.filter((race) => mine(race.g)).map((race) => race.s);
      if (marks.length) go(marks.filter((n) => n > now).sort((a, b) => a - b)[0] ?? Math.min(...marks));
    });
    on("play", () => {
      if (timer) return stop();
      if (now === data.frames.length - 1) now = -1;
      pick("play").textContent = "pause";
      timer = setInterval(() => {
        if (!root.isConnected || now === data.frames.length - 1) return stop();
        go(now + 1);
      }, 700);
    });
    slider.addEventListener("input", () => (stop(), go(Number(slider.value))));
    bars.forEach((bar, n) => bar.addEventListener("click", () => (stop(), go(n))));
    if (chooser) chooser.addEventListener("change", () => ((group = Number(chooser.value)), paint()));
    pick("controls").style.display = "flex";
    paint();
  }

  // JupyterLab runs the script before the output is on the page.
  let tries = 0;
  (function wait() {
    const root = document.getElementById(id);
    if (root) start(root);
    else if (tries++ < 100) setTimeout(wait, 50);
  })();
})();
