// A simulation of the network between gates and guards: it counts calls, and can delay or lose them. The
// gate, the guard and the runtime under them are the real ones.
import worker, { Guard as RealGuard } from "./worker.mjs";

const counts = { calls: 0, pushes: 0 };
let mode = { lose: 0, delay: 0 };

export default {
  async fetch(request, env, ctx) {
    const url = new URL(request.url);
    if (!url.pathname.startsWith("/__simulation/")) return worker.fetch(request, env, ctx);
    if (request.method === "GET") return Response.json(counts);
    mode = { lose: Number(url.searchParams.get("lose") ?? 0), delay: Number(url.searchParams.get("delay") ?? 0) };
    return new Response(null, { status: 204 });
  },
};

export class Guard extends RealGuard {
  async call(message) {
    counts.calls += 1;
    await disturb();
    return super.call(message);
  }
  async push(message) {
    counts.pushes += 1;
    await disturb();
    return super.push(message);
  }
}

async function disturb() {
  if (mode.delay) await new Promise((resolve) => setTimeout(resolve, mode.delay));
  if (mode.lose) throw new Error("simulated loss");
}
