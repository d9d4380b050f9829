// The built Worker, observed: `GET /__observed` says what it read of the request before.
import { seen, watch } from "./watch.mjs";
import worker from "./worker.mjs";
export { Guard } from "./worker.mjs";

export default {
  fetch(request, env, ctx) {
    if (request.url.endsWith("/__observed")) return Response.json(seen());
    return watch(request, () => worker.fetch(request, env, ctx));
  },
};
