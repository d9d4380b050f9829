// How long the wasm module takes to compile and to instantiate, in milliseconds: medians. Its imports do nothing.
import { readFileSync } from "node:fs";

const bytes = readFileSync(process.argv[2]);
const imports = {};
for (const { module, name, kind } of WebAssembly.Module.imports(new WebAssembly.Module(bytes))) {
  imports[module] ??= {};
  imports[module][name] = kind === "function" ? () => 0 : undefined;
}

function median(action) {
  const times = [];
  for (let i = 0; i < 15; i += 1) {
    const began = performance.now();
    action();
    times.push(performance.now() - began);
  }
  return times.sort((a, b) => a - b)[7];
}

const compile = median(() => new WebAssembly.Module(bytes));
const module = new WebAssembly.Module(bytes);
const instantiate = median(() => new WebAssembly.Instance(module, imports));
console.log(JSON.stringify({ compile, instantiate }));
