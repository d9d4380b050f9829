// Carrying out a plan: an answer of the gate's own, or the way to the upstream and back. The plan's lines are those
// of `Plan::encode` in `edge/src/gate/plan.rs`.

// Hot answers, by the place that the gate gave them (`edge/src/gate/kept.rs`).
const kept = [];

// For the log alone: nobody reads this answer.
const HUNG_UP = 499;
// A body of so many bytes leaves at once; a longer one may take its time.
const SHORT_BODY = 64 * 1024;
const MAX_UPLOAD_MS = 300_000;
// In the body of a refusal, where a retry makes sense.
const WAIT = '"retryAfter":';
// What the runtime itself does not keep from the wire of RFC 9110, section 7.6.1.
const ONE_HOP = new Set(["proxy-authenticate", "proxy-authorization", "proxy-connection"]);

// `answer`, status, body, place, number of header lines that are the same each time, those, then those of this answer.
// `whole`: the request has no body that is still to come, and so nothing can be waited for until the answer leaves.
export function answer(steps, whole = false) {
  const status = Number(steps[2]);
  const body = steps[3];
  const place = steps[4];
  if (place === "") return new Response(body || null, { status, headers: headersOf(steps, 6, steps.length) });
  const own = 6 + Number(steps[5]);
  if (own > 6) kept[place] = new KeptAnswer(status, headersOf(steps, 6, own), body, steps, own);
  return kept[place].with(status, steps, own, whole);
}

// An answer that is made once; what changes is replaced in it. One without a body is sent itself, again and again: nothing
// in it can be used up, and the runtime has written its head before it looks at another request (it is an answer of the
// same turn, see `kept.rs`). Only what waits in between for the rest of the request's body, as a wrapper around the Worker
// may, has to get a copy, which costs more than the decision.
class KeptAnswer {
  #response;
  #headers;
  #body;
  #last = [];
  #from = 0;
  // The body is taken apart where the next answer has its own id and its own seconds to wait.
  constructor(status, headers, body, steps, own) {
    this.#response = new Response(null, { status, headers });
    this.#headers = this.#response.headers;
    const [before, after] = body.split(steps[own + 1]);
    if (after !== undefined) this.#body = [before, ...after.split(WAIT + steps[own + 3])];
  }
  // The answer with the header lines from `own` on. A proxy may have asked for another status.
  with(status, steps, own, whole) {
    this.#replace(steps, own);
    const text = this.#filled(steps, own);
    const response = this.#response;
    if (status !== response.status) return new Response(text, { status, headers: this.#headers });
    return text === null && whole ? response : new Response(text, response);
  }
  #filled(steps, own) {
    if (this.#body === undefined) return null;
    const [before, between, after] = this.#body;
    const text = before + steps[own + 1] + between;
    return after === undefined ? text : text + WAIT + steps[own + 3] + after;
  }
  #replace(steps, own) {
    const last = this.#last;
    const shift = this.#from - own;
    const headers = this.#headers;
    let same = last.length === steps.length + shift;
    for (let i = own; same && i + 1 < steps.length; i += 2) same = steps[i] === last[i + shift];
    if (!same) for (let i = this.#from; i + 1 < last.length; i += 2) headers.delete(last[i]);
    for (let i = own; i + 1 < steps.length; i += 2) {
      if (!same || steps[i + 1] !== last[i + 1 + shift]) headers.set(steps[i], steps[i + 1]);
    }
    this.#last = steps;
    this.#from = own;
  }
}

// A record: the form of headers that the runtime takes in the quickest.
function headersOf(steps, from, to) {
  const headers = {};
  for (let i = from; i + 1 < to; i += 2) headers[steps[i]] = steps[i + 1];
  return headers;
}

// `forward`, URL, time-out, ticket, number of header lines to the upstream, those, then those of the answer.
export function forward(request, steps, gate, ctx, workAfter) {
  const [follows, , url, timeout, ticket, lines] = steps;
  const mine = 6 + Number(lines);
  const started = Date.now();
  const limit = new Limit(Number(timeout));
  // Whether there is work to do then.
  const tell = (status) => {
    limit.end();
    const now = Date.now();
    return gate.finished(ticket, status, now - started, now);
  };
  // A caller that hangs up needs no answer any more, but the request is counted. All the work that follows would keep the
  // request going upstream meanwhile.
  const hungUp = () => {
    if (!limit.ended && tell(HUNG_UP)) ctx.waitUntil(gate.report(ticket));
    limit.stop();
  };
  const { method, headers, signal: caller } = request;
  const body = request.body === null ? null : toSend(request, limit);
  caller.addEventListener("abort", hungUp);
  // Work that outlives the request would keep it going upstream, too.
  const signal = follows === "1" || limit.isLong ? limit.signal : undefined;
  const asked = pass(request, () => new Request(url, { method, headers, body, redirect: "manual", signal }), steps, mine);
  return Promise.race([asked, limit.over]).then(
    (upstream) => {
      if (limit.ended) return new Response(null, { status: HUNG_UP });
      if (tell(upstream.status)) workAfter(gate, ctx);
      return toCaller(upstream, steps, mine);
    },
    () => {
      if (limit.ended) return new Response(null, { status: HUNG_UP });
      limit.end();
      limit.stop();
      const plan = gate.failed(ticket, limit.late, Date.now()).split("\n");
      if (plan[0] === "1") workAfter(gate, ctx);
      return decorate(answer(plan), steps, mine);
    },
  );
}

// How long the upstream may take to begin its answer.
class Limit {
  #aborted;
  #timer;
  #pass;
  ended = false;
  isLong = false;
  late = false;
  // Is rejected when the time is over.
  over = new Promise((_, reject) => (this.#pass = reject));
  constructor(ms) {
    this.ms = ms;
    this.set(ms);
  }
  // Stops the request, where the end of ours would not. Made for those only: it costs as much as the decision.
  get signal() {
    this.#aborted ??= new AbortController();
    return this.#aborted.signal;
  }
  set(ms) {
    if (this.ended) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (this.ended) return;
      this.late = true;
      this.#pass();
    }, ms);
  }
  stop() {
    this.#aborted?.abort();
  }
  // The timer goes with the request; to clear it would cost every request a call.
  end() {
    this.ended = true;
  }
}

// The body to send. While a long one is still on its way the upstream is not late: its time begins when all of it is
// sent. The stream in between tells when that is; the runtime moves the bytes by itself.
function toSend(request, limit) {
  const { body, headers } = request;
  const length = headers.get("content-length");
  if (length !== null && Number(length) <= SHORT_BODY) return body;
  limit.isLong = true;
  const pipe = length === null ? new IdentityTransformStream() : new FixedLengthStream(Number(length));
  limit.set(Math.max(limit.ms, MAX_UPLOAD_MS));
  // A body that breaks off must not look whole to the upstream, so its end is not passed on: the request is dropped.
  body.pipeTo(pipe.writable, { preventAbort: true }).then(
    () => limit.set(limit.ms),
    () => limit.ended || limit.stop(),
  );
  return pipe.readable;
}

// What can't be made into a request, as a GET with a body can't, fails like one that reaches nobody: it is counted.
function pass(request, make, steps, end) {
  try {
    return fetch(toUpstream(make(), request, steps, end));
  } catch (error) {
    return Promise.reject(error);
  }
}

// `sent` has copied the headers already; to change them there saves a second copy.
function toUpstream(sent, request, steps, end) {
  const { headers } = sent;
  drop(headers, isNotForUpstream);
  hops(headers, request);
  for (let i = 6; i + 1 < end; i += 2) headers.set(steps[i], steps[i + 1]);
  return sent;
}

// One pass over the names: to ask for each that may have to go would be a call into the runtime for each.
function drop(headers, isDropped) {
  let dropped;
  for (const name of headers.keys()) {
    if (name === "connection") (dropped ??= []).push(...named(headers.get(name)));
    else if (isDropped(name)) (dropped ??= []).push(name);
  }
  if (dropped !== undefined) for (const name of dropped) headers.delete(name);
}

// RFC 9110, section 7.6.1: what `Connection` names concerns one hop only. The fields that the standard itself lists,
// the runtime keeps from the wire.
function named(connection) {
  const names = connection.split(",").map((part) => part.trim().toLowerCase());
  return names.filter((name) => /^[a-z0-9-]+$/.test(name) && name !== "upgrade");
}

// Credentials end here. What says who the caller is comes from the gate alone; some servers take `_` in a name for `-`.
function isNotForUpstream(name) {
  switch (name.charCodeAt(0)) {
    case 0x61: // a
      return name === "authorization";
    case 0x66: // f
      return name === "forwarded";
    case 0x70: // p
      return ONE_HOP.has(name);
    case 0x78: // x
      return name === "x-api-key" || name === "x-real-ip" || name === "x-forwarded-for" || /^x[-_]keyward[-_]/.test(name);
    default:
      return false;
  }
}

// Who the caller is on the network, as far as the network says so: what the caller itself wrote is hearsay.
function hops(headers, request) {
  const ip = headers.get("cf-connecting-ip");
  if (ip !== null) {
    const before = request.headers.get("x-forwarded-for");
    // Cloudflare's network has appended the address by itself.
    const known = before !== null && (before === ip || before.endsWith(`,${ip}`) || before.endsWith(` ${ip}`));
    headers.set("x-forwarded-for", before === null ? ip : known ? before : `${before}, ${ip}`);
    headers.set("x-real-ip", ip);
  }
  headers.set("x-forwarded-proto", request.url.startsWith("https:") ? "https" : "http");
}

function toCaller(upstream, steps, mine) {
  const { webSocket } = upstream;
  const response =
    webSocket === null
      ? new Response(upstream.body, upstream)
      : new Response(null, { status: 101, webSocket, headers: upstream.headers });
  drop(response.headers, isNotForCaller);
  return decorate(response, steps, mine);
}

// The gate speaks for the API in these; what the upstream says of them does not reach the caller.
function isNotForCaller(name) {
  switch (name.charCodeAt(0)) {
    case 0x61: // a
      return name.startsWith("access-control-");
    case 0x70: // p
      return ONE_HOP.has(name);
    case 0x78: // x
      return name.startsWith("x-keyward-");
    default:
      return false;
  }
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
