// Carrying out a plan: an answer of the gate's own, or the way to the upstream and back. The plan's lines are those
// of `Plan::encode` in `edge/src/gate/plan.rs`.

// Header sets that hot answers have in common, by the place that the gate gave them (`edge/src/gate/kept.rs`): to
// copy one is several times as quick as to make it.
const kept = [];

// For the log alone: nobody reads this answer.
const HUNG_UP = 499;
// A body of so many bytes leaves at once; a longer one may take its time.
const SHORT_BODY = 64 * 1024;
const MAX_UPLOAD_MS = 300_000;
// What the runtime itself does not keep from the wire of RFC 9110, section 7.6.1.
const ONE_HOP = new Set(["proxy-authenticate", "proxy-authorization", "proxy-connection"]);

// `answer`, status, body, place, number of header lines that are the same each time, those, then those of this answer.
export function answer(steps) {
  const status = Number(steps[2]);
  const body = steps[3] === "" ? null : steps[3];
  const place = steps[4];
  if (place === "") return new Response(body, { status, headers: headersOf(steps, 6, steps.length) });
  const own = 6 + Number(steps[5]);
  if (own > 6) kept[place] = new Headers(headersOf(steps, 6, own));
  const response = new Response(body, { status, headers: kept[place] });
  const { headers } = response;
  for (let i = own; i + 1 < steps.length; i += 2) headers.set(steps[i], steps[i + 1]);
  return response;
}

// A record: the form of headers that the runtime takes in the quickest.
function headersOf(steps, from, to) {
  const headers = {};
  for (let i = from; i + 1 < to; i += 2) headers[steps[i]] = steps[i + 1];
  return headers;
}

// `forward`, URL, time-out, ticket, number of header lines to the upstream, those, then those of the answer.
export function forward(request, steps, gate, ctx, workAfter) {
  const [, , url, timeout, ticket, lines] = steps;
  const mine = 6 + Number(lines);
  const started = Date.now();
  const limit = new Limit(Number(timeout));
  // A caller that hangs up needs no answer any more.
  request.signal.addEventListener("abort", () => limit.abort());
  const asked = fetch(url, {
    method: request.method,
    headers: toUpstream(request, steps, mine),
    body: request.body === null ? null : toSend(request, limit),
    redirect: "manual",
    signal: limit.signal,
  });
  const answered = asked.then(
    (upstream) => {
      limit.end();
      const now = Date.now();
      if (gate.finished(ticket, upstream.status, now - started, now)) workAfter(gate, ctx);
      return toCaller(upstream, steps, mine);
    },
    () => {
      limit.end();
      const now = Date.now();
      if (request.signal.aborted) {
        if (gate.finished(ticket, HUNG_UP, now - started, now)) workAfter(gate, ctx);
        return new Response(null, { status: HUNG_UP });
      }
      const plan = gate.failed(ticket, limit.late, now).split("\n");
      if (plan[0] === "1") workAfter(gate, ctx);
      return decorate(answer(plan), steps, mine);
    },
  );
  // Should the caller hang up, the outcome is counted all the same.
  ctx.waitUntil(answered);
  return answered;
}

// How long the upstream may take to begin its answer.
class Limit {
  #aborted = new AbortController();
  #timer;
  ended = false;
  late = false;
  constructor(ms) {
    this.ms = ms;
    this.set(ms);
  }
  get signal() {
    return this.#aborted.signal;
  }
  set(ms) {
    if (this.ended) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.late = true;
      this.#aborted.abort();
    }, ms);
  }
  abort() {
    this.#aborted.abort();
  }
  end() {
    this.ended = true;
    clearTimeout(this.#timer);
  }
}

// The body to send. While a long one is still on its way the upstream is not late: its time begins when all of it is
// sent. The stream in between tells when that is; the runtime moves the bytes by itself.
function toSend(request, limit) {
  const { body, headers } = request;
  const length = headers.get("content-length");
  if (length !== null && Number(length) <= SHORT_BODY) return body;
  const pipe = length === null ? new IdentityTransformStream() : new FixedLengthStream(Number(length));
  limit.set(Math.max(limit.ms, MAX_UPLOAD_MS));
  // A body that breaks off must not look whole to the upstream, so its end is not passed on: the request is dropped.
  body.pipeTo(pipe.writable, { preventAbort: true }).then(
    () => limit.set(limit.ms),
    () => limit.ended || limit.abort(),
  );
  return pipe.readable;
}

function toUpstream(request, steps, end) {
  const headers = new Headers(request.headers);
  headers.delete("authorization");
  headers.delete("x-api-key");
  const connection = headers.get("connection");
  if (connection !== null) dropNamed(headers, connection);
  for (const name of [...headers.keys()]) if (isNotForUpstream(name)) headers.delete(name);
  hops(headers, request.url);
  for (let i = 6; i + 1 < end; i += 2) headers.set(steps[i], steps[i + 1]);
  return headers;
}

// RFC 9110, section 7.6.1: what `Connection` names concerns one hop only. The fields that the standard itself lists,
// the runtime keeps from the wire.
function dropNamed(headers, connection) {
  for (const part of connection.split(",")) {
    const name = part.trim().toLowerCase();
    if (/^[a-z0-9-]+$/.test(name) && name !== "upgrade") headers.delete(name);
  }
}

// What says who the caller is comes from the gate alone. Some servers take `_` in a name for `-`.
function isNotForUpstream(name) {
  if (name.startsWith("x")) return /^x[-_]keyward[-_]/.test(name);
  return ONE_HOP.has(name);
}

// Who the caller is on the network, as far as the network says so: what the caller itself wrote is hearsay.
function hops(headers, url) {
  const ip = headers.get("cf-connecting-ip");
  headers.delete("forwarded");
  if (ip === null) {
    headers.delete("x-forwarded-for");
    headers.delete("x-real-ip");
  } else {
    const before = headers.get("x-forwarded-for");
    // Cloudflare's network has appended the address by itself.
    const known = before === null ? false : before === ip || before.endsWith(`,${ip}`) || before.endsWith(` ${ip}`);
    if (!known) headers.set("x-forwarded-for", before === null ? ip : `${before}, ${ip}`);
    headers.set("x-real-ip", ip);
  }
  headers.set("x-forwarded-proto", url.startsWith("https:") ? "https" : "http");
}

function toCaller(upstream, steps, mine) {
  const { webSocket } = upstream;
  const response =
    webSocket === null
      ? new Response(upstream.body, upstream)
      : new Response(null, { status: 101, webSocket, headers: upstream.headers });
  const { headers } = response;
  const connection = headers.get("connection");
  if (connection !== null) dropNamed(headers, connection);
  for (const name of [...headers.keys()]) if (isNotForCaller(name)) headers.delete(name);
  return decorate(response, steps, mine);
}

// The gate speaks for the API in these; what the upstream says of them does not reach the caller.
function isNotForCaller(name) {
  return name.startsWith("access-control-") || name.startsWith("x-keyward-") || ONE_HOP.has(name);
}

// Adds the gate's headers. `Vary` is appended to what is there; the others are the gate's alone.
function decorate(response, steps, from) {
  const { headers } = response;
  for (let i = from; i + 1 < steps.length; i += 2) {
    if (steps[i] === "vary") vary(headers, steps[i + 1]);
    else headers.set(steps[i], steps[i + 1]);
  }
  return response;
}

function vary(headers, value) {
  const present = headers.get("vary");
  if (present === null) {
    headers.set("vary", value);
    return;
  }
  const names = present.split(",").map((name) => name.trim().toLowerCase());
  if (!names.includes("*") && !names.includes(value.toLowerCase())) headers.append("vary", value);
}
