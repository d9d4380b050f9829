// The built Worker, its guard's storage metered: `GET /__meter` gives rows read and written by calls so far.
import worker, { Guard as RealGuard } from "./worker.mjs";

const totals = { calls: 0, written: 0, read: 0 };
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
    if (request.url.endsWith("/__meter")) return Response.json(totals);
    return worker.fetch(request, env, ctx);
  },
};

export class Guard extends RealGuard {
  constructor(ctx, env) {
    super(ctx, env);
    meter(ctx.storage.sql);
  }
  // A call touches storage before its first promise only.
  call(message) {
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
