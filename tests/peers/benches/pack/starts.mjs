// Instantiates the modules from stdin in turn and prints the time of each as a ratio to the
// first. stdin: milliseconds to spend, then each module's length and bytes; numbers are 32-bit
// little-endian.
import { readFileSync } from "node:fs";

const input = readFileSync(0);
const deadline = performance.now() + input.readUInt32LE(0);
const modules = [];
for (let at = 4; at < input.length; ) {
    const start = at + 4;
    at = start + input.readUInt32LE(at);
    modules.push(new WebAssembly.Module(input.subarray(start, at)));
}
const median = (numbers) => numbers.sort((a, b) => a - b)[numbers.length >> 1];
const ratios = modules.map(() => []);
const N_WARM_UP = 3;
for (let round = 0; round <= N_WARM_UP || performance.now() < deadline; round++) {
    const times = [];
    // A start inherits caches and garbage from the one before: each position is taken in turn.
    for (let nth = 0; nth < modules.length; nth++) {
        const index = (round + nth) % modules.length;
        globalThis.gc();
        const begin = process.hrtime.bigint();
        new WebAssembly.Instance(modules[index]);
        times[index] = Number(process.hrtime.bigint() - begin);
    }
    if (N_WARM_UP <= round) {
        times.forEach((time, index) => ratios[index].push(time / times[0]));
    }
}
console.log(ratios.map(median).join(" "));
