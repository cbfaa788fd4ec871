// Answers a request in JSON with one in JSON. `served` counts the requests of one instance.

const items = new Map();
for (let id = 0; id < 200; id++) {
  items.set(`/item/${id}`, { id, name: `item ${id}`, tags: ["a", "b", String(id * id)] });
}
let served = 0;

export function respond(request) {
  const { path, body } = JSON.parse(request);
  served++;
  const counts = {};
  for (const word of body.toLowerCase().split(/\s+/).filter(Boolean)) {
    counts[word] = (counts[word] ?? 0) + 1;
  }
  const item = items.get(path) ?? null;
  items.set(path, { changed: true });
  const reversed = [...body].reverse().join("");
  return JSON.stringify({ served, item, items: items.size, counts, reversed });
}
