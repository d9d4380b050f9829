// The built Worker, its guard metered: `GET /__meter` gives the calls so far and the rows that they read and wrote.
// `PUT /__meter?delay=50` puts the guard that many milliseconds away.
import worker, { Guard as RealGuard } from "./worker.mjs";

const totals = { calls: 0, written: 0, read: 0 };
let delay = 0;
let cursors = [];
let metered = false;

function meter(sql) {
  if (metered) return;
  metered = true;
  const prototype = Object.getPrototypeOf(sql);
  const { exec } = prototype;
  prototype.exec = function (...args) {
    const cursor = exec.apply(this, args);
    cursors.push(cursor);
    return cursor;
  };
}

export default {
  fetch(request, env, ctx) {
    const at = request.url.indexOf("/__meter");
    if (at < 0) return worker.fetch(request, env, ctx);
    if (request.method === "PUT") delay = Number(new URL(request.url).searchParams.get("delay"));
    return Response.json(totals);
  },
};

export class Guard extends RealGuard {
  constructor(ctx, env) {
    super(ctx, env);
    meter(ctx.storage.sql);
  }
  async call(message) {
    if (delay > 0) await new Promise((resolve) => setTimeout(resolve, delay));
    // What follows touches storage before its first promise only.
    cursors = [];
    const answer = super.call(message);
    totals.calls += 1;
    for (const { rowsWritten, rowsRead } of cursors) {
      totals.written += rowsWritten;
      totals.read += rowsRead;
    }
    return answer;
  }
}
