// What is where in an address space, and what each column of pixels shows.
// Addresses are floats here: beyond 2^53 they are about right, and labels of segments exact.

const LEAST_SPAN = 16; // bytes in the closest view
const LEAST_SHARE = 2 ** -40; // of the highest address: what floats can still tell apart
const LEAST_WIDTH = 2; // pixels of anything that is drawn
const SVG = "http://www.w3.org/2000/svg";

/** Returns the first place in [0, n) for which `is` holds, or n. `is` never turns false again. */
function first(n, is) {
  let [low, high] = [0, n];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (is(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** How much of each of `n` equal columns of [lo, hi) is covered by ranges: constant time for each. */
class Coverage {
  constructor(n, lo, hi) {
    Object.assign(this, { n, lo, hi, scale: n / (hi - lo) });
    this.part = new Float64Array(n + 1);
    this.whole = new Int32Array(n + 1);
  }
  add(start, end) {
    const from = (Math.max(start, this.lo) - this.lo) * this.scale;
    const to = (Math.min(end, this.hi) - this.lo) * this.scale;
    const [a, b] = [Math.floor(from), Math.floor(to)];
    if (a === b) {
      this.part[a] += to - from;
      return;
    }
    this.part[a] += a + 1 - from;
    this.part[b] += to - b;
    this.whole[a + 1] += 1;
    this.whole[b] -= 1;
  }
  /** Returns the shares; 1 if a column is covered once. */
  shares() {
    let whole = 0;
    return Array.from({ length: this.n }, (_, column) => {
      whole += this.whole[column];
      return whole + this.part[column];
    });
  }
}

/** The address space of one memory. */
class Space {
  constructor(memory, data) {
    this.memory = memory;
    this.size = Number(memory.size);
    this.first = memory.view.map(Number);
    this.runStarts = memory.runs.filter((_, nth) => nth % 2 === 0).map(Number);
    this.runEnds = this.runStarts.map((start, nth) => start + Number(memory.runs[2 * nth + 1]));
    this.starts = memory.addr.map(Number);
    this.ends = this.starts.map((start, nth) => start + memory.len[nth]);
    this.kinds = Array.from(memory.kind, (digit) => data.kinds[Number(digit)]);
    this.order = Uint32Array.from(this.starts.keys());
    this.order.sort((a, b) => this.starts[a] - this.starts[b] || a - b);
    this.places = new Uint32Array(this.order.length);
    this.order.forEach((nth, place) => (this.places[nth] = place));
    // The highest end up to each place: where a search for overlaps begins.
    let reach = 0;
    this.reach = Float64Array.from(this.order, (nth) => (reach = Math.max(reach, this.ends[nth])));
  }
  least() {
    return Math.min(this.size, Math.max(LEAST_SPAN, this.size * LEAST_SHARE));
  }
  /** Calls `visit` with each segment that overlaps [lo, hi), by address. */
  overlapping(lo, hi, visit) {
    let at = first(this.order.length, (place) => lo < this.reach[place]);
    for (; at < this.order.length && this.starts[this.order[at]] < hi; at++) {
      const nth = this.order[at];
      if (lo < this.ends[nth]) visit(nth);
    }
  }
  /** Calls `visit` with each run that overlaps [lo, hi). */
  runs(lo, hi, visit) {
    const n = this.runStarts.length;
    for (let at = first(n, (nth) => lo < this.runEnds[nth]); at < n && this.runStarts[at] < hi; at++) visit(at);
  }
  /** Returns the class of each of `n` columns, in the image and among the segments. */
  columns(n, lo, hi) {
    const cover = () => new Coverage(n, lo, hi);
    const [runs, data, replayed, kinds] = [cover(), cover(), cover(), new Map()];
    this.runs(lo, hi, (nth) => runs.add(this.runStarts[nth], this.runEnds[nth]));
    this.overlapping(lo, hi, (nth) => {
      const [start, end, kind] = [this.starts[nth], this.ends[nth], this.kinds[nth]];
      if (!kinds.has(kind)) kinds.set(kind, cover());
      kinds.get(kind).add(start, end);
      if (kind === "replayed") replayed.add(start, end);
      else if (kind !== "left") data.add(start, end);
    });
    const [inRuns, inData, inReplayed] = [runs.shares(), data.shares(), replayed.shares()];
    const image = inRuns.map((run, column) => {
      const filled = run ? inData[column] : 0;
      if (filled < inReplayed[column]) return "replayed";
      if (!run) return null;
      return filled ? (filled < 0.5 ? "sparse" : "dense") : "stored";
    });
    const segments = new Array(n).fill(null);
    const most = new Float64Array(n);
    for (const [kind, coverage] of kinds) {
      coverage.shares().forEach((share, column) => {
        if (most[column] < share) [most[column], segments[column]] = [share, kind];
      });
    }
    return { image, segments };
  }
}

/** Draws one path for each class of columns, and `edges` between segments. */
function paint(svg, columns, data, edges = []) {
  const paths = new Map();
  for (let from = 0, to; from < columns.length; from = to) {
    to = from + 1;
    while (to < columns.length && columns[to] === columns[from]) to++;
    if (columns[from] === null) continue;
    const width = Math.max(LEAST_WIDTH, to - from);
    const rectangles = data.styles[columns[from]][0].map(([top, bottom]) => `M${from} ${top}h${width}v${bottom - top}h-${width}z`);
    paths.set(columns[from], (paths.get(columns[from]) ?? "") + rectangles.join(""));
  }
  if (edges.length) paths.set("edges", edges.map((x) => `M${x} 0v${data.height}`).join(""));
  svg.setAttribute("viewBox", `0 0 ${columns.length} ${data.height}`);
  svg.replaceChildren(...Array.from(paths, ([kind, d]) => {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("class", kind);
    path.setAttribute("d", d);
    return path;
  }));
}

const grouped = (number) => number.toLocaleString("en");
const hex = (address) => (typeof address === "string" ? address : `0x${Math.floor(address).toString(16)}`);
/** Exact, for an address that may be text. */
const hexSum = (address, length) => `0x${(BigInt(address) + BigInt(length)).toString(16)}`;

function bytesText(number) {
  const units = ["byte", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
  const nth = number < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(number) / 10));
  if (nth === 0) return `${grouped(Math.round(number))} ${Math.round(number) === 1 ? "byte" : "bytes"}`;
  const scaled = number / 2 ** (10 * nth);
  return `${Number.isInteger(scaled) ? scaled : scaled.toFixed(1)} ${units[nth]}`;
}

const counted = (number, what) => `${grouped(number)} ${what}${number === 1 ? "" : "s"}`;
