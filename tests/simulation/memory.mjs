// Keeps hold of the memory of this isolate's wasm instance, to spoil it as a bug in it would. To be imported before the
// Worker, so that it sees the instance being made.
const RealInstance = WebAssembly.Instance;
let memory;

WebAssembly.Instance = class extends RealInstance {
  constructor(module, imports) {
    super(module, imports);
    // By its kind: the build gives exports short names.
    memory = Object.values(this.exports).find((one) => one instanceof WebAssembly.Memory);
  }
};

// Nothing in there is what it was: every pointer leads out of the memory, so the next call traps.
export function spoil() {
  new Uint8Array(memory.buffer).fill(0x11);
}
