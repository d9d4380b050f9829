// Hono with its bearer authentication against a Map of hashes, and hono-rate-limiter for one window: counted in a
// Durable Object (`STORE` is `durable`), or in the isolate's memory, where the limit holds for each isolate alone.
import { env } from "cloudflare:workers";
import { DurableObjectRateLimiter, DurableObjectStore } from "@hono-rate-limiter/cloudflare";
import { Hono } from "hono";
import { bearerAuth } from "hono/bearer-auth";
import { rateLimiter } from "hono-rate-limiter";

const keys = new Map(JSON.parse(env.RECORDS).map((record) => [record.credentials?.[0].hash, record]));
const encoder = new TextEncoder();
const limit = { windowMs: 60_000, limit: 1_000_000_000, standardHeaders: "draft-7", keyGenerator: (c) => c.get("key").id };

async function verifyToken(token, c) {
  const digest = await crypto.subtle.digest("SHA-256", encoder.encode(token));
  let hex = "";
  for (const byte of new Uint8Array(digest)) hex += byte.toString(16).padStart(2, "0");
  const record = keys.get(hex);
  if (record?.state !== "active" || !record.permissions.includes("customers.read")) return false;
  c.set("key", record);
  return true;
}

let memory;
const app = new Hono();
app.use(bearerAuth({ verifyToken }));
app.use((c, next) => {
  if (env.STORE === "durable") {
    return rateLimiter({ ...limit, store: new DurableObjectStore({ namespace: env.LIMITER }) })(c, next);
  }
  // Made in a request: its store sets a timer, which a Worker may not do before.
  memory ??= rateLimiter(limit);
  return memory(c, next);
});
app.get("/.keyward/verify", (c) => {
  const key = c.get("key");
  c.header("x-keyward-key-id", key.id);
  c.header("x-keyward-account-id", key.account);
  c.header("x-keyward-request-id", crypto.randomUUID());
  return c.body(null);
});

export default app;
export { DurableObjectRateLimiter };
