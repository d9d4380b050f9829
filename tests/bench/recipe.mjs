// The common recipe: for each request the key's record from KV by its SHA-256, and a Durable Object that counts.
// Its counters live in memory only: nothing is written, which is to its advantage.
import { DurableObject } from "cloudflare:workers";

const encoder = new TextEncoder();
const API = { host: "api.example.test", routes: { "GET /v1/customers": "customers.read" } };

function hex(buffer) {
  let text = "";
  for (const byte of new Uint8Array(buffer)) text += byte.toString(16).padStart(2, "0");
  return text;
}

function refuse(status, code) {
  return Response.json({ status, code }, { status });
}

export default {
  async fetch(request, env) {
    const { headers } = request;
    if (headers.get("x-forwarded-host") !== API.host) return refuse(404, "unknown_api");
    const token = headers.get("authorization")?.slice("Bearer ".length);
    if (!token) return refuse(401, "missing_credential");
    const hash = hex(await crypto.subtle.digest("SHA-256", encoder.encode(token)));
    const record = await env.KEYS.get(`k/${hash}`, "json");
    if (record === null || record.state !== "active") return refuse(401, "invalid_key");
    const needed = API.routes[`${headers.get("x-forwarded-method")} ${headers.get("x-forwarded-uri")}`];
    if (needed === undefined) return refuse(404, "unknown_route");
    if (!record.permissions.includes(needed)) return refuse(403, "insufficient_permission");
    const stub = env.LIMITER.get(env.LIMITER.idFromName(record.id));
    const { admitted, limit, remaining, resetAt } = await stub.take(record.limits, 1);
    if (!admitted) return refuse(429, "rate_limited");
    return new Response(null, {
      headers: {
        "x-keyward-key-id": record.id,
        "x-keyward-account-id": record.account,
        "x-keyward-request-id": crypto.randomUUID(),
        "x-ratelimit-limit": `${limit}`,
        "x-ratelimit-remaining": `${remaining}`,
        "x-ratelimit-reset": `${Math.ceil(resetAt / 1000)}`,
      },
    });
  },
};

const WINDOWS = [
  ["requestsPerMinute", 60_000],
  ["requestsPerHour", 3_600_000],
  ["requestsPerDay", 86_400_000],
];

// Fixed windows.
export class Limiter extends DurableObject {
  counters = WINDOWS.map(() => ({ start: 0, used: 0 }));

  take(limits, cost) {
    const now = Date.now();
    let tightest = { limit: Infinity, remaining: Infinity, resetAt: 0 };
    for (const [i, [name, span]] of WINDOWS.entries()) {
      const counter = this.counters[i];
      if (now - counter.start >= span) Object.assign(counter, { start: now - (now % span), used: 0 });
      const remaining = limits[name] - counter.used;
      if (remaining < tightest.remaining) tightest = { limit: limits[name], remaining, resetAt: counter.start + span };
    }
    if (tightest.remaining < cost) return { admitted: false, ...tightest };
    for (const counter of this.counters) counter.used += cost;
    return { admitted: true, ...tightest, remaining: tightest.remaining - cost };
  }
}
