// The contents of a page: hexadecimal digits and text.

const MOST_BYTES = 65536; // that are shown at once
const NARROW = 620; // pixels: with fewer, a row has half as many bytes
const MOST_ORIGINS = 16;

/** Decodes the bytes of a memory's segments once they are needed. */
function decoded(space) {
  if (space.bytes) return space.bytes;
  const text = atob(space.memory.bytes);
  space.bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) space.bytes[at] = text.charCodeAt(at);
  let offset = 0;
  space.offsets = space.memory.len.map((length) => (offset += length) - length);
  return space.bytes;
}

/** Returns the bytes of [lo, hi), and the segment of each, or -1. Later segments hide earlier ones. */
function contents(space, lo, hi) {
  const bytes = decoded(space);
  const found = { bytes: new Uint8Array(hi - lo), origins: new Int32Array(hi - lo).fill(-1) };
  const within = [];
  space.overlapping(lo, hi, (nth) => within.push(nth));
  for (const nth of within.sort((a, b) => a - b)) {
    const [from, to] = [Math.max(lo, space.starts[nth]), Math.min(hi, space.ends[nth])];
    const offset = space.offsets[nth] + from - space.starts[nth];
    found.bytes.set(bytes.subarray(offset, offset + to - from), from - lo);
    found.origins.fill(nth, from - lo, to - lo);
  }
  return found;
}

/** Writes rows as `xxd` does. Of equal rows that nothing writes, the first and an asterisk. */
function writeRows(pre, space, lo, hi, found) {
  const perRow = pre.clientWidth < NARROW ? 8 : 16;
  const digits = hi <= 2 ** 32 ? 8 : 16;
  const kind = (at) => (0 <= found.origins[at] ? space.kinds[found.origins[at]] : space.memory.zeroed ? "zero" : "unknown");
  const out = document.createDocumentFragment();
  let plain = null;
  let isFolded = false;
  for (let row = 0; row < hi - lo; row += perRow) {
    const end = Math.min(row + perRow, hi - lo);
    const isPlain = found.origins.subarray(row, end).every((origin) => origin < 0);
    if (isPlain && plain && end < hi - lo) {
      if (!isFolded) out.append("*\n");
      isFolded = true;
      continue;
    }
    [plain, isFolded] = [isPlain, false];
    out.append(`${(lo + row).toString(16).padStart(digits, "0")}: `);
    writePart(out, row, end, kind, (at) => {
      const byte = kind(at) === "unknown" ? "??" : found.bytes[at].toString(16).padStart(2, "0");
      return at % 2 && at + 1 < end ? `${byte} ` : byte;
    });
    out.append(" ".repeat((perRow - (end - row)) * 2 + Math.floor((perRow - (end - row)) / 2) + 2));
    writePart(out, row, end, kind, (at) => {
      const byte = found.bytes[at];
      return kind(at) === "unknown" ? "?" : 0x20 <= byte && byte < 0x7f ? String.fromCharCode(byte) : ".";
    });
    out.append("\n");
  }
  pre.replaceChildren(out);
}

/** Writes bytes [row, end), with one element for those of one kind. */
function writePart(out, row, end, kind, text) {
  for (let from = row, to; from < end; from = to) {
    const span = document.createElement("span");
    span.className = kind(from);
    for (to = from; to < end && kind(to) === span.className; to++) span.append(text(to));
    span.normalize();
    out.append(span);
  }
}

/** Returns where the bytes come from: a line for each range, as `dump` has them. */
function originLines(space, lo, found, name) {
  const lines = [];
  let nRanges = 0;
  for (let from = 0, to; from < found.origins.length; from = to) {
    to = from + 1;
    while (to < found.origins.length && found.origins[to] === found.origins[from]) to++;
    nRanges++;
    if (lines.length < MOST_ORIGINS) lines.push(`${hex(lo + from)}..${hex(lo + to)}  ${name(found.origins[from])}`);
  }
  if (lines.length < nRanges) lines.push(`and ${counted(nRanges - lines.length, "more range")}`);
  return lines.join("\n");
}
