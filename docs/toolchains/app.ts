// AssemblyScript: a static table, strings, and the runtime's own data.
const table: StaticArray<u32> = [1, 2654435762, 1013904227, 3668339988, 2027808453];
let count: u32 = 7;

export function handle(request: u32): u32 {
  count += table[request % 5];
  return count + <u32>("request " + request.toString()).length;
}
