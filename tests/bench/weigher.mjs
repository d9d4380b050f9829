// The built Worker: `GET /__wasm` gives the size of its wasm memory, in bytes.
import { bytes } from "./instances.mjs";
import worker from "./worker.mjs";
export { Guard } from "./worker.mjs";

export default {
  fetch(request, env, ctx) {
    if (request.url.endsWith("/__wasm")) return new Response(`${bytes()}`);
    return worker.fetch(request, env, ctx);
  },
};
