// Carrying out a plan: an answer of the gate's own, or the way to the upstream and back.

const CREDENTIALS = ["authorization", "x-api-key"];
// RFC 9110, section 7.6.1: these concern one hop only.
const HOP_BY_HOP = [
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
];

// `answer`, status, body, then header names and values in turn.
export function answer(steps) {
  const headers = new Headers();
  for (let i = 3; i + 1 < steps.length; i += 2) headers.append(steps[i], steps[i + 1]);
  const status = Number(steps[1]);
  const body = steps[2] === "" ? null : steps[2];
  return new Response(body, { status, headers });
}

// `forward`, URL, time-out, ticket, number of header lines to the upstream, those, then those of the answer.
export async function forward(request, steps, gate, started) {
  const [, url, timeout, ticket, lines] = steps;
  const mine = 5 + Number(lines);
  const headers = toUpstream(request, steps.slice(5, mine));
  const aborted = new AbortController();
  const timer = setTimeout(() => aborted.abort(), Number(timeout));
  let upstream;
  try {
    upstream = await fetch(url, {
      method: request.method,
      headers,
      body: request.body,
      redirect: "manual",
      signal: aborted.signal,
    });
  } catch {
    const late = aborted.signal.aborted;
    return decorate(answer(gate.failed(ticket, late, Date.now()).split("\n")), steps, mine);
  } finally {
    clearTimeout(timer);
  }
  const now = Date.now();
  gate.finished(ticket, upstream.status, now - started, now);
  return decorate(toCaller(upstream), steps, mine);
}

function toUpstream(request, lines) {
  const headers = new Headers(request.headers);
  const websocket = headers.get("upgrade")?.toLowerCase() === "websocket";
  const named = (headers.get("connection") ?? "").split(",").map((name) => name.trim().toLowerCase());
  const drop = [...CREDENTIALS, ...HOP_BY_HOP, ...named.filter((name) => /^[a-z0-9-]+$/.test(name))];
  for (const name of drop) if (name !== "upgrade" || !websocket) headers.delete(name);
  if (!websocket) headers.delete("upgrade");
  // What says who the caller is comes from the gate alone.
  // Some servers take `_` in a name for `-`.
  for (const name of [...headers.keys()]) if (/^x[-_]keyward[-_]/.test(name)) headers.delete(name);
  for (let i = 0; i + 1 < lines.length; i += 2) headers.set(lines[i], lines[i + 1]);
  return headers;
}

function toCaller(upstream) {
  if (upstream.webSocket) {
    const headers = new Headers();
    const protocol = upstream.headers.get("sec-websocket-protocol");
    if (protocol !== null) headers.set("sec-websocket-protocol", protocol);
    return new Response(null, { status: 101, webSocket: upstream.webSocket, headers });
  }
  const response = new Response(upstream.body, upstream);
  // The gate speaks for the API in these; what the upstream says of them does not reach the caller.
  for (const name of [...response.headers.keys()]) {
    if (name.startsWith("access-control-") || name.startsWith("x-keyward-")) response.headers.delete(name);
  }
  return response;
}

// Adds the gate's headers. `Vary` is appended to what is there; the others are the gate's alone.
function decorate(response, steps, from) {
  for (let i = from; i + 1 < steps.length; i += 2) {
    if (steps[i] === "vary") vary(response.headers, steps[i + 1]);
    else response.headers.set(steps[i], steps[i + 1]);
  }
  return response;
}

function vary(headers, value) {
  const present = (headers.get("vary") ?? "").split(",").map((name) => name.trim().toLowerCase());
  if (!present.includes("*") && !present.includes(value.toLowerCase())) headers.append("vary", value);
}
