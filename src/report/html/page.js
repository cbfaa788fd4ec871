// The controls of each address space: wheel, drag, pinch, keys and buttons.

const ZOOM = 2; // of one key or button
const WHEEL_ZOOM = 300; // pixels of the wheel that zoom by 2
const LINE = 16; // pixels of a wheel that counts lines
const STEP = 0.2; // of the view, that one key moves
const STILL = 4; // pixels that a pointer may move in a click
const LABEL = 100; // pixels between labels of addresses
const CHARACTER = 7; // pixels of one, on average, in the name of a segment
const PADDING = 12; // pixels around such a name
const EDGE_WIDTH = 5; // pixels of a segment whose ends are shown
const MOST_LISTED = 3; // segments named for one column

const data = JSON.parse(document.getElementById("data").textContent);

function element(tag, className, text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

class Viewer {
  constructor(root) {
    this.space = new Space(data.memories[root.dataset.place], data);
    this.root = root;
    this.plot = root.querySelector(".plot");
    this.strip = root.querySelector(".strip");
    [this.image, this.segments] = this.plot.querySelectorAll("svg");
    this.names = element("div", "names");
    this.plot.querySelectorAll(".lane")[1]?.append(this.names);
    this.axis = element("div", "axis");
    this.mark = element("div", "mark");
    this.plot.append(this.axis, this.mark);
    for (const part of [this.names, this.axis]) part.setAttribute("aria-hidden", "true");
    this.window = this.strip.appendChild(element("div", "window"));
    root.append(document.getElementById("controls").content.cloneNode(true));
    root.classList.add("live");
    [this.details, this.panel] = [root.querySelector(".details"), root.querySelector(".bytes")];
    this.details.id = `details-${root.dataset.place}`;
    this.plot.tabIndex = 0;
    this.plot.setAttribute("role", "application");
    this.plot.setAttribute("aria-describedby", this.details.id);
    this.selected = null; // a segment, or null
    this.address = null; // where the last click was
    this.pointers = new Map();
    [this.lo, this.hi] = this.space.first;
    this.listen();
    this.draw();
  }

  listen() {
    this.plot.addEventListener("wheel", (event) => this.onWheel(event), { passive: false });
    this.plot.addEventListener("keydown", (event) => this.onKey(event));
    for (const name of ["pointerdown", "pointermove", "pointerup", "pointercancel", "pointerleave"]) {
      this.plot.addEventListener(name, (event) => this.onPointer(event));
    }
    const move = (event) => {
      if (event.buttons === 0) return;
      this.strip.setPointerCapture(event.pointerId);
      const box = this.strip.getBoundingClientRect();
      const [at, span] = [((event.clientX - box.left) / box.width) * this.space.size, this.hi - this.lo];
      this.show(at - span / 2, at + span / 2);
    };
    this.strip.addEventListener("pointerdown", move);
    this.strip.addEventListener("pointermove", move);
    this.root.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) this.act(button.dataset.do);
    });
    new ResizeObserver(() => this.later()).observe(this.plot);
  }

  /** Shows [lo, hi), within the memory and not closer than possible. */
  show(lo, hi) {
    const span = Math.min(this.space.size, Math.max(this.space.least(), hi - lo));
    this.lo = Math.min(Math.max(0, (lo + hi - span) / 2), this.space.size - span);
    this.hi = this.lo + span;
    this.later();
  }

  zoom(factor, at = this.address !== null && this.lo <= this.address && this.address < this.hi ? this.address : (this.lo + this.hi) / 2) {
    const span = Math.min(this.space.size, Math.max(this.space.least(), (this.hi - this.lo) / factor));
    const lo = at - ((at - this.lo) / (this.hi - this.lo)) * span;
    this.show(lo, lo + span);
  }

  pan(share) {
    const by = (this.hi - this.lo) * share;
    this.show(this.lo + by, this.hi + by);
  }

  /** Draws once before the next frame, however often it is called. */
  later() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.draw();
    });
  }

  draw() {
    const { space, lo, hi } = this;
    const width = Math.max(1, Math.floor(this.plot.clientWidth));
    const x = (address) => ((address - lo) / (hi - lo)) * width;
    const { image, segments } = space.columns(width, lo, hi);
    const [edges, names] = [[], []];
    let free = 0;
    space.overlapping(lo, hi, (nth) => {
      const [from, to] = [Math.max(0, x(space.starts[nth])), Math.min(width, x(space.ends[nth]))];
      if (to - from < EDGE_WIDTH || edges.length > 2 * width) return;
      edges.push(from.toFixed(1), to.toFixed(1));
      const title = this.title(nth).find((it) => it.length * CHARACTER + PADDING <= to - from);
      if (title === undefined || from < free) return;
      const name = element("span", "", title);
      name.style.left = `${from + 1}px`;
      name.style.maxWidth = `${to - from - 2}px`;
      names.push(name);
      free = to;
    });
    if (this.image) paint(this.image, image, data);
    if (this.segments) paint(this.segments, segments, data, edges);
    this.names.replaceChildren(...names);
    this.drawAxis(width, x);
    const strip = this.strip.querySelector("svg");
    if (strip && strip.dataset.width !== String(width)) {
      strip.dataset.width = width;
      paint(strip, space.columns(width, 0, space.size).image, data);
    }
    this.window.style.left = `${(lo / space.size) * 100}%`;
    this.window.style.width = `${((hi - lo) / space.size) * 100}%`;
    this.window.hidden = hi - lo === space.size;
    const [from, to] = this.selected === null ? [this.address, this.address] : [space.starts[this.selected], space.ends[this.selected]];
    this.mark.hidden = from === null || to < lo || hi < from;
    this.mark.style.left = `${Math.max(0, x(from))}px`;
    this.mark.style.width = `${Math.min(width, x(to)) - Math.max(0, x(from))}px`;
    Object.assign(this.plot.dataset, { lo: Math.round(lo), hi: Math.round(hi) });
    if (!this.isHovered) this.describe();
  }

  /** Labels multiples of a power of two. */
  drawAxis(width, x) {
    const step = 2 ** Math.ceil(Math.log2(((this.hi - this.lo) * LABEL) / width));
    const labels = [];
    for (let at = Math.ceil(this.lo / step) * step; at < this.hi && labels.length <= width; at += step) {
      if (width - LABEL / 2 < x(at)) break;
      const label = element("span", "", hex(at));
      label.style.left = `${x(at)}px`;
      labels.push(label);
    }
    this.axis.replaceChildren(...labels);
  }

  /** Returns what a segment can be called, the longest first. */
  title(nth) {
    const { index, names } = this.space.memory;
    if (index[nth] === null) return ["flag"];
    return [names[nth] ?? `segment ${index[nth]}`, String(index[nth])];
  }

  /** Says what a segment is; -1 for addresses that none writes. */
  about(nth) {
    const { memory, kinds } = this.space;
    if (nth < 0) return memory.zeroed ? "zero: nothing writes here" : "not known: the host supplies the memory";
    const meaning = data.styles[kinds[nth]][1];
    if (memory.index[nth] === null) return meaning;
    const name = memory.names[nth] === undefined ? "" : ` (${memory.names[nth]})`;
    const range = `${hex(memory.addr[nth])}..${hexSum(memory.addr[nth], memory.len[nth])}`;
    return `segment ${memory.index[nth]}${name}, ${range}, ${counted(memory.len[nth], "byte")}: ${meaning}`;
  }

  /** Describes a range, the selection, or the view. */
  describe(range = null) {
    const { space } = this;
    if (range === null && this.selected !== null) range = [space.starts[this.selected], space.ends[this.selected]];
    const [lo, hi] = range ?? [this.lo, this.hi];
    const found = [];
    let [nSegments, nRuns, run] = [0, 0, -1];
    space.overlapping(lo, hi, (nth) => {
      nSegments++;
      if (found.length < MOST_LISTED) found.push(nth);
    });
    space.runs(lo, hi, (nth) => {
      nRuns++;
      run = nth;
    });
    const where = `${hex(lo)}..${hex(Math.max(hi, lo + 1))}`;
    if (range === null) {
      this.details.textContent = `${where}, ${bytesText(hi - lo)}: ${counted(nSegments, "segment")}, ${counted(nRuns, "run")} of the image`;
      return;
    }
    if (this.selected !== null && !this.isHovered) [found[0], found.length, nSegments] = [this.selected, 1, 1];
    const lines = found.map((nth) => this.about(nth));
    if (found.length === 0) lines.push(`${where}: ${this.about(-1)}`);
    if (found.length < nSegments) lines.push(`and ${counted(nSegments - found.length, "more segment")} at ${where}`);
    const inRun = run < 0 ? "in no run of the image" : `run ${hex(space.runStarts[run])}..${hex(space.runEnds[run])}`;
    lines.push(`host page ${grouped(Math.floor(lo / Number(data.page_size)))}, ${inRun}`);
    this.details.textContent = lines.join("\n");
  }

  /** Returns the address under a pointer, and how many bytes a column of pixels has. */
  at(event) {
    const box = this.plot.getBoundingClientRect();
    const scale = (this.hi - this.lo) / box.width;
    return [this.lo + Math.min(Math.max(0, event.clientX - box.left), box.width - 1) * scale, scale];
  }

  /** Returns the addresses that are drawn under a pointer: what is narrow is drawn wider. */
  column(event) {
    const [at, scale] = this.at(event);
    const exact = [Math.floor(at), Math.max(Math.floor(at) + 1, Math.ceil(at + scale))];
    const wider = [Math.floor(at - LEAST_WIDTH * scale), exact[1]];
    const has = ([lo, hi]) => {
      let found = false;
      this.space.overlapping(lo, hi, () => (found = true));
      return found;
    };
    return has(exact) || !has(wider) ? exact : wider;
  }

  onWheel(event) {
    const unit = event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? 1 : LINE;
    const [x, y] = [event.deltaX * unit, event.deltaY * unit];
    if (Math.abs(y) < Math.abs(x)) this.pan(x / this.plot.clientWidth);
    else if (0 < y && this.hi - this.lo === this.space.size) return; // the page scrolls
    else this.zoom(2 ** (-y / WHEEL_ZOOM), this.at(event)[0]);
    event.preventDefault();
  }

  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const names = { ArrowLeft: "left", ArrowRight: "right", "+": "in", "=": "in", "-": "out", _: "out", 0: "whole", Home: "whole", End: "extent", ArrowDown: "after", ArrowUp: "before", Enter: "bytes", " ": "bytes", Escape: "close" };
    if (!Object.hasOwn(names, event.key)) return;
    event.preventDefault();
    this.isHovered = false;
    this.act(names[event.key]);
  }

  onPointer(event) {
    const { pointers } = this;
    const before = pointers.get(event.pointerId);
    if (event.type === "pointerdown") {
      pointers.set(event.pointerId, { x: event.clientX, from: event.clientX });
      this.hasMoved = 1 < pointers.size;
      this.plot.setPointerCapture(event.pointerId);
    } else if (event.type === "pointermove" && before) {
      this.drag(event, before);
    } else if (event.type === "pointermove") {
      this.isHovered = true;
      this.describe(this.column(event));
    } else if (before) {
      pointers.delete(event.pointerId);
      if (event.type === "pointerup" && !this.hasMoved) this.select(this.column(event));
    } else if (event.type === "pointerleave") {
      this.isHovered = false;
      this.describe();
    }
  }

  /** Moves the view with one pointer; two of them keep the addresses below them. */
  drag(event, before) {
    const others = [...this.pointers.values()].filter((it) => it !== before);
    const perPixel = (this.hi - this.lo) / this.plot.clientWidth;
    if (STILL < Math.abs(event.clientX - before.from)) this.hasMoved = true;
    if (others.length === 0) {
      if (!this.hasMoved) return;
      const by = (before.x - event.clientX) * perPixel;
      this.show(this.lo + by, this.hi + by);
    } else {
      const fixed = others[0].x;
      const factor = Math.abs(event.clientX - fixed) / Math.max(1, Math.abs(before.x - fixed));
      this.zoom(Math.max(factor, 1 / ZOOM), this.at({ clientX: fixed })[0]);
    }
    before.x = event.clientX;
  }

  /** Selects the segment in a column, or the address. */
  select([lo, hi]) {
    let found = null;
    this.space.overlapping(lo, hi, (nth) => (found ??= nth));
    [this.selected, this.address, this.isHovered] = [found, found === null ? lo : Math.max(lo, this.space.starts[found]), false];
    if (!this.panel.hidden) this.open(this.address);
    this.describe(found === null ? [lo, hi] : null);
    this.later();
  }

  /** Selects the next or the previous segment by address, and moves it into the view. */
  step(by) {
    const { space } = this;
    if (space.order.length === 0) return;
    const inView = first(space.order.length, (place) => this.lo <= space.starts[space.order[place]]);
    const place = this.selected === null ? inView - (by < 0 ? 1 : 0) : space.places[this.selected] + by;
    this.selected = space.order[Math.min(Math.max(0, place), space.order.length - 1)];
    this.address = space.starts[this.selected];
    if (this.address < this.lo || this.hi <= this.address) {
      const span = this.hi - this.lo;
      this.show(this.address - span / 2, this.address + span / 2);
    }
    if (!this.panel.hidden) this.open(this.address);
    this.describe();
    this.later();
  }

  /** Shows the page that contains an address. */
  open(address) {
    const { space, panel } = this;
    const block = Math.min(Number(data.page_size), MOST_BYTES);
    const lo = Math.floor(Math.min(Math.max(0, address), space.size - 1) / block) * block;
    const hi = Math.min(lo + block, space.size);
    this.block = [lo, block];
    panel.hidden = false;
    const has = space.memory.bytes !== null;
    panel.querySelector(".absent").hidden = has;
    const [pre, origins] = panel.querySelectorAll("pre");
    pre.hidden = origins.hidden = !has;
    panel.querySelector(".title").textContent = `host page ${grouped(Math.floor(lo / Number(data.page_size)))}: ${hex(lo)}..${hex(hi)}`;
    if (!has) return;
    const found = contents(space, lo, hi);
    writeRows(pre, space, lo, hi, found);
    pre.scrollTop = 0;
    origins.textContent = originLines(space, lo, found, (nth) => this.about(nth));
  }

  act(name) {
    const { space, block } = this;
    const actions = {
      left: () => this.pan(-STEP),
      right: () => this.pan(STEP),
      in: () => this.zoom(ZOOM),
      out: () => this.zoom(1 / ZOOM),
      whole: () => this.show(0, space.size),
      extent: () => this.show(...space.first),
      after: () => this.step(1),
      before: () => this.step(-1),
      bytes: () => this.open(this.address ?? this.firstAddress()),
      previous: () => this.open(block[0] - block[1]),
      next: () => this.open(block[0] + block[1]),
      close: () => (this.panel.hidden = true),
    };
    actions[name]?.();
  }

  /** Returns the first address in the view that a segment writes. */
  firstAddress() {
    let found = null;
    this.space.overlapping(this.lo, this.hi, (nth) => (found ??= Math.max(this.lo, this.space.starts[nth])));
    return found ?? this.lo;
  }
}

// Memories that are far away are prepared once they come near.
const near = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (!isIntersecting) continue;
    near.unobserve(target);
    new Viewer(target);
  }
}, { rootMargin: "100%" });
document.querySelectorAll(".viewer").forEach((it) => near.observe(it));
