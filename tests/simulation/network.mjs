// A simulation of the network between gates and guards: it counts calls, and can delay or lose them. The
// gate, the guard and the runtime under them are the real ones.
import worker, { Guard as RealGuard } from "./worker.mjs";

const counts = { calls: 0, pushes: 0 };
let mode = { delay: 0, lose: 0, loseAnswers: 0 };

export default {
  async fetch(request, env, ctx) {
    // Read no further: a URL that is none is the Worker's to refuse.
    if (!request.url.includes("/__simulation/")) return worker.fetch(request, env, ctx);
    const url = new URL(request.url);
    if (request.method === "GET") return Response.json(counts);
    const number = (name) => Number(url.searchParams.get(name) ?? 0);
    mode = { delay: number("delay"), lose: number("lose"), loseAnswers: number("loseAnswers") };
    return new Response(null, { status: 204 });
  },
};

export class Guard extends RealGuard {
  call(message) {
    counts.calls += 1;
    return disturb(() => super.call(message));
  }
  push(message) {
    counts.pushes += 1;
    return disturb(() => super.push(message));
  }
}

async function disturb(call) {
  const { delay, lose, loseAnswers } = mode;
  if (delay) await new Promise((resolve) => setTimeout(resolve, delay));
  if (Math.random() < lose) throw new Error("simulated loss");
  const answer = await call();
  if (Math.random() < loseAnswers) throw new Error("simulated loss of an answer");
  return answer;
}
