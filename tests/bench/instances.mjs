// Notes the wasm instances that are made after it, for the size of their memory.
const memories = [];
WebAssembly.Instance = new Proxy(WebAssembly.Instance, {
  construct(target, args) {
    const instance = Reflect.construct(target, args);
    memories.push(Object.values(instance.exports).find((one) => one instanceof WebAssembly.Memory));
    return instance;
  },
});

export const bytes = () => memories.reduce((sum, memory) => sum + (memory?.buffer.byteLength ?? 0), 0);
