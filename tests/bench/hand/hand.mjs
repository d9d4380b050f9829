// The honest rival: the in-memory work of a guarded request, written by hand in JavaScript, as well as it goes.
// No promise, no storage; what can be made beforehand is made beforehand.
import { env } from "cloudflare:workers";
import { Purse } from "./purse.mjs";
import { environment, hashFromHex, hashOf, issuedUnder } from "./token.mjs";

const issued = issuedUnder(env.TAG_SECRET);
const apis = new Map();
const keys = new Map();
for (const record of JSON.parse(env.RECORDS)) record.kind === "api" ? addApi(record) : addKey(record);

function addApi(api) {
  const literal = new Map();
  const patterns = [];
  for (const route of api.routes) {
    if (!route.path.includes("{")) literal.set(`${route.method} ${route.path}`, route);
    else patterns.push([route.method, new RegExp(`^${route.path.replace(/\{[^}]*\}/g, "[^/]+")}$`), route]);
  }
  const origins = api.cors.allowedOrigins.map((origin) => {
    const [before, after] = origin.split("*");
    return after === undefined ? (o) => o === origin : (o) => o.startsWith(before) && o.endsWith(after);
  });
  const known = { api, literal, patterns, origins };
  for (const endpoint of api.endpoints) apis.set(endpoint.host, { ...known, endpoint });
}

function addKey(key) {
  const permissions = new Set(key.permissions);
  const slot = { key, permissions, purse: new Purse(key.limits), counts: new Map(), shown: key.permissions.join(" ") };
  for (const { hash } of key.credentials) keys.set(hashFromHex(hash), slot);
}

function allows(granted, needed) {
  return granted.has(needed) || granted.has(`${needed.slice(0, needed.indexOf("."))}.*`) || granted.has("*");
}

function routeOf(known, method, path) {
  const route = known.literal.get(`${method} ${path}`);
  if (route !== undefined) return route;
  for (const [of, pattern, found] of known.patterns) if (of === method && pattern.test(path)) return found;
  return undefined;
}

function pathOf(uri) {
  const end = uri.indexOf("?");
  const path = end < 0 ? uri : uri.slice(0, end);
  return /%|\/\/|\/\./.test(path) ? new URL(path, "http://h").pathname : path;
}

let gate;
let requests = 0;
function requestId() {
  // Not at the top: a Worker may draw random values in a request only.
  gate ??= crypto.randomUUID().replaceAll("-", "").slice(0, 12);
  requests += 1;
  return `req_${gate}${requests.toString(36).padStart(8, "0")}`;
}

function refuse(status, code, title, id, more) {
  const body = { type: `urn:keyward:problem:${code}`, title, status, code, requestId: id, error: title, message: title };
  const headers = {
    "content-type": "application/problem+json",
    "cache-control": "no-store",
    vary: "Origin",
    "x-keyward-request-id": id,
    "x-keyward-code": code,
    ...more,
  };
  return new Response(JSON.stringify(body), { status, headers });
}

function unauthorized(code, title, id) {
  return refuse(401, code, title, id, { "www-authenticate": 'Bearer realm="Bench", error="invalid_token"' });
}

function credential(headers) {
  const authorization = headers.get("authorization");
  const key = headers.get("x-api-key");
  if (authorization === null) return key;
  const bearer = /^bearer +(\S+)$/i.exec(authorization);
  return bearer === null || (key !== null && key !== bearer[1]) ? null : bearer[1];
}

function count(slot, code, now) {
  const minute = Math.floor(now / 60_000);
  let counted = slot.counts.get(code);
  if (counted === undefined || counted.minute !== minute) {
    counted = { minute, count: 0, cost: 0, lastAt: 0 };
    slot.counts.set(code, counted);
  }
  counted.count += 1;
  counted.cost += 1;
  counted.lastAt = now;
}

// Reads a forward-auth request as far as the credential: an answer, or what is left to decide.
export function begin(request) {
  const { headers } = request;
  const now = Date.now();
  const id = requestId();
  const host = headers.get("x-forwarded-host") ?? headers.get("x-original-host") ?? headers.get("host");
  const known = apis.get(host);
  if (known === undefined) return refuse(404, "unknown_api", "No API answers for this host", id);
  const method = headers.get("x-forwarded-method") ?? headers.get("x-original-method") ?? "GET";
  const uri = headers.get("x-forwarded-uri") ?? headers.get("x-original-uri") ?? "/";
  const origin = headers.get("origin");
  const ip = headers.get("x-real-ip");
  const token = credential(headers);
  if (token === null) return unauthorized("missing_credential", "API key required", id);
  const code = environment(token);
  if (code === undefined) return unauthorized("malformed_credential", "Malformed API key", id);
  return { known, method, uri, origin, ip, now, id, token, code };
}

// The rest, `genuine` and `hash` being known.
export function conclude(begun, genuine, hash) {
  const { known, code, id } = begun;
  if (!genuine) return unauthorized("invalid_key", "Invalid or revoked API key", id);
  if (code !== known.endpoint.code) return unauthorized("wrong_environment", "Wrong environment", id);
  const slot = keys.get(hash);
  if (slot === undefined || slot.key.state !== "active") {
    return unauthorized("invalid_key", "Invalid or revoked API key", id);
  }
  return decide(begun, slot);
}

function decide({ known, method, uri, origin, ip, now, id }, slot) {
  const { key, purse } = slot;
  const route = routeOf(known, method, pathOf(uri));
  if (key.expiresAt !== undefined && now >= key.expiresAt) return unauthorized("expired_key", "Expired API key", id);
  if (key.allowedIps?.length && !key.allowedIps.includes(ip)) return refuse(403, "ip_not_allowed", "IP not allowed", id);
  if (key.allowedOrigins?.length && !key.allowedOrigins.includes(origin)) {
    return refuse(403, "origin_not_allowed", "Origin not allowed", id);
  }
  if (route === undefined) return refuse(404, "unknown_route", "No such route", id);
  if (!allows(slot.permissions, route.permission)) {
    return refuse(403, "insufficient_permission", "Insufficient permission", id);
  }
  if (!purse.spend(now, route.cost ?? 1)) {
    count(slot, "rate_limited", now);
    return refuse(429, "rate_limited", "Rate limit exceeded", id, { "retry-after": "1" });
  }
  count(slot, "ok", now);
  return admit(known, slot, origin, now, id);
}

function admit(known, slot, origin, now, id) {
  const { key, purse } = slot;
  const window = purse.tightest();
  const remaining = window.left + purse.units;
  const headers = {
    "x-keyward-key-id": key.id,
    "x-keyward-account-id": key.account,
    "x-keyward-environment": known.endpoint.environment,
    "x-keyward-permissions": slot.shown,
    "x-keyward-request-id": id,
    "x-ratelimit-limit": `${window.limit}`,
    "x-ratelimit-remaining": `${remaining}`,
    "x-ratelimit-reset": `${Math.ceil(window.resetAt / 1000)}`,
    "ratelimit-policy": purse.policy,
    ratelimit: `"${window.name}";r=${remaining};t=${Math.ceil((window.resetAt - now) / 1000)}`,
    "cache-control": "no-store",
    vary: "Origin",
  };
  if (origin !== null && known.origins.some((admits) => admits(origin))) {
    headers["access-control-allow-origin"] = origin;
  }
  return new Response(null, { headers });
}

export default {
  fetch(request) {
    if (!request.url.endsWith("/.keyward/verify")) return refuse(404, "unknown_route", "No such route", requestId());
    const begun = begin(request);
    if (begun instanceof Response) return begun;
    return conclude(begun, issued(begun.token), hashOf(begun.token));
  },
};
