// better-auth's API-key plugin, its tables in memory: the quickest database that it can have.
import { apiKey } from "@better-auth/api-key";
import { betterAuth } from "better-auth";

const tables = { user: [], session: [], account: [], verification: [], apikey: [] };
let auth;
let made;

async function open() {
  // esbuild leaves this module empty when it is imported at the top.
  const { memoryAdapter } = await import("better-auth/adapters/memory");
  return betterAuth({
    baseURL: "http://auth.internal",
    secret: "only for measuring: 0123456789abcdef0123456789abcdef",
    database: memoryAdapter(tables),
    telemetry: { enabled: false },
    logger: { disabled: true },
    plugins: [apiKey({ rateLimit: { enabled: true, timeWindow: 60_000, maxRequests: 1_000_000_000 } })],
  });
}

// `GET /__key` gives the key that the requests are to bear.
async function make() {
  const now = new Date();
  tables.user.push({ id: "u_1", name: "Ada", email: "ada@example.test", emailVerified: true, createdAt: now, updatedAt: now });
  const body = { userId: "u_1", name: "bench", permissions: { customers: ["read"] } };
  auth = await open();
  return (await auth.api.createApiKey({ body })).key;
}

export default {
  async fetch(request) {
    if (request.url.endsWith("/__key")) return new Response((made ??= await make()));
    const key = request.headers.get("authorization")?.slice("Bearer ".length) ?? "";
    const { valid, error, key: record } = await auth.api.verifyApiKey({
      body: { key, permissions: { customers: ["read"] } },
    });
    if (!valid) return Response.json(error, { status: 401 });
    const headers = {
      "x-keyward-key-id": record.id,
      "x-keyward-account-id": record.referenceId ?? record.userId ?? "",
      "x-keyward-request-id": crypto.randomUUID(),
      "x-ratelimit-limit": `${record.rateLimitMax}`,
      "x-ratelimit-remaining": `${record.rateLimitMax - record.requestCount}`,
    };
    return new Response(null, { headers });
  },
};
