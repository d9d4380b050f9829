// A simulation of the network between gates and guards: it counts calls, and can delay or lose them, or reset the
// guard that they reach. It can also set this isolate's clock ahead, and spoil its wasm memory. The gate, the guard
// and the runtime under them are the real ones.
import { spoil } from "./memory.mjs";
import worker, { Guard as RealGuard } from "./worker.mjs";

const PERFECT = { delay: 0, lose: 0, loseAnswers: 0, reset: 0 };
const counts = { calls: 0, pushes: 0 };
let mode = PERFECT;

const realNow = Date.now.bind(Date);
let ahead = 0;
Date.now = () => realNow() + ahead;

export default {
  async fetch(request, env, ctx) {
    // Read no further: a URL that is none is the Worker's to refuse.
    if (!request.url.includes("/__simulation/")) return worker.fetch(request, env, ctx);
    const url = new URL(request.url);
    if (request.method === "GET") return Response.json(counts);
    const number = (name) => Number(url.searchParams.get(name) ?? 0);
    if (url.pathname.endsWith("/spoil")) spoil();
    else if (url.pathname.endsWith("/clock")) ahead = number("ahead");
    else mode = Object.fromEntries(Object.keys(PERFECT).map((name) => [name, number(name)]));
    return new Response(null, { status: 204 });
  },
};

export class Guard extends RealGuard {
  call(message) {
    counts.calls += 1;
    return disturb(this.ctx, () => super.call(message));
  }
  push(message) {
    counts.pushes += 1;
    return disturb(this.ctx, () => super.push(message));
  }
}

async function disturb(ctx, call) {
  const { delay, lose, loseAnswers, reset } = mode;
  if (delay) await new Promise((resolve) => setTimeout(resolve, delay));
  if (Math.random() < lose) throw new Error("simulated loss");
  // The runtime breaks off every call of this object and makes a new one of it at the next.
  if (Math.random() < reset) ctx.abort("simulated reset");
  const answer = await call();
  if (Math.random() < loseAnswers) throw new Error("simulated loss of an answer");
  return answer;
}
