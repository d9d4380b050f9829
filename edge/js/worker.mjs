// The Worker's entry: everything that JavaScript does for Keyward. It reads what the Rust side needs of a
// request in one go, does the I/O that Rust asks for, and carries out its plans. It decides nothing.
import { DurableObject } from "cloudflare:workers";
import module from "./keyward_edge_bg.wasm";
import { Gate, GuardCore, initSync, __wbg_reset_state } from "./keyward_edge.js";
import { answer, forward } from "./proxy.mjs";
import { Sql } from "./sql.mjs";
import { held } from "./state.mjs";

const GUARD_TIMEOUT_MS = 5000;
// A push writes to KV before it is answered.
const PUSH_TIMEOUT_MS = 20_000;
const KV_TIMEOUT_MS = 5000;
const KV_WRITE_TIMEOUT_MS = 15_000;
// Work that a trap has cut off never settles; its callers are answered all the same.
const DECISION_TIMEOUT_MS = 30_000;
// Bodies are read whole for control requests only; anything larger is refused as it comes in.
const MAX_CONTROL_BYTES = 4 * 1024 * 1024;

// Where another proxy asks about a request that it describes in headers.
const VERIFY = "/.keyward/verify";

initSync({ module });

// A trap leaves wasm memory in an unknown state, so the instance is replaced and the memory it held is
// lost: leases stay spent, caches fill again. Objects made before that belong to the old instance.
let instance = 0;
function guarded(action) {
  try {
    return action();
  } catch (error) {
    if (error instanceof WebAssembly.RuntimeError) recover(error);
    throw error;
  }
}

function recover(error) {
  console.error("the wasm instance trapped and is replaced:", error.message);
  __wbg_reset_state();
  instance += 1;
  gate = undefined;
}

// A trap in work that no request awaits any more surfaces here.
addEventListener("error", (event) => {
  if (event.error instanceof WebAssembly.RuntimeError) recover(event.error);
});

// The plan that answers a signed question to a guard, but for what the guard says.
const ASK = '{"ask":"guard"}';

let gate;
let host;
function theGate(env) {
  gate ??= new Gate(env, (host = new Host(env)), crypto.randomUUID(), crypto.getRandomValues(new Uint8Array(16)));
  return gate;
}

// The I/O that the gate may ask for. Each call makes its own stub: stubs belong to one request.
class Host {
  constructor(env) {
    this.env = env;
  }
  kvGet(key) {
    return within(KV_TIMEOUT_MS, this.env.KV.get(key));
  }
  guard(name, method, message) {
    const stub = this.env.GUARD.get(this.env.GUARD.idFromName(name));
    return within(method === "push" ? PUSH_TIMEOUT_MS : GUARD_TIMEOUT_MS, stub[method](message));
  }
  sleep(ms) {
    return new Promise((resolve) => setTimeout(resolve, ms));
  }
}

function within(ms, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("no answer in time")), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

export default {
  // Not `async`: a hot request is answered without a promise.
  fetch(request, env, ctx) {
    try {
      const gate = theGate(env);
      const started = Date.now();
      const facts = factsOf(request);
      const plan = gate.admit(facts, started);
      if (plan !== "") return carryOut(plan, facts, request, gate, ctx);
      const settled = within(DECISION_TIMEOUT_MS, gate.settle());
      return settled.then((plan) => carryOut(plan, facts, request, gate, ctx)).catch(failed);
    } catch (error) {
      return failed(error);
    }
  },
};

function failed(error) {
  console.error("unexpected:", error.message);
  if (error instanceof WebAssembly.RuntimeError) recover(error);
  return unavailable();
}

// No header value has a NUL, so it can stand for "missing".
const MISSING = "\0";

// What a decision needs, a line each, in the order in which `Head::read` takes them. Only what can matter is read:
// each header costs a call into the runtime.
function factsOf(request) {
  const { method, url, headers } = request;
  const caller = `${method}\n${url}\n${line(headers, "authorization")}\n${line(headers, "x-api-key")}\n${line(headers, "origin")}`;
  if (url.includes(VERIFY)) return described(caller, headers);
  const facts = `${caller}\n${line(headers, "cf-connecting-ip")}`;
  return method === "OPTIONS" ? `${facts}\n${MISSING}${preflight(headers)}` : facts;
}

function line(headers, name) {
  return headers.get(name) ?? MISSING;
}

function preflight(headers) {
  return `\n${line(headers, "access-control-request-method")}\n${line(headers, "access-control-request-headers")}`;
}

function described(caller, headers) {
  const method = headers.get("x-forwarded-method") ?? line(headers, "x-original-method");
  const path = headers.get("x-forwarded-uri") ?? headers.get("x-original-uri");
  const target = path === null ? `${MISSING}\n${line(headers, "x-original-url")}` : `${path}\n${MISSING}`;
  const host = headers.get("x-forwarded-host") ?? line(headers, "x-original-host");
  const client = headers.get("x-real-ip") ?? line(headers, "x-forwarded-for");
  const facts = `${caller}\n${client}\ndescribes\n${method}\n${target}\n${host}`;
  return method === "OPTIONS" ? facts + preflight(headers) : facts;
}

function carryOut(plan, facts, request, gate, ctx) {
  const steps = plan.split("\n");
  if (steps[0] === "1") workAfter(gate, ctx);
  switch (steps[1]) {
    case "answer":
      return answer(steps, request.body === null);
    case "forward":
      return forward(request, steps, gate, ctx, workAfter);
    default:
      return control(request, facts, gate).then((steps) => {
        if (steps[0] === "1") workAfter(gate, ctx);
        return answer(steps);
      }).catch(failed);
  }
}

function workAfter(gate, ctx) {
  const work = gate.background(Date.now());
  if (work) ctx.waitUntil(work);
}

// `/.keyward/…`: health, verify with a body, push, state. Gives the steps of a plan.
async function control(request, facts, gate) {
  const body = await bounded(request);
  const { headers } = request;
  const planned = gate.control(
    facts,
    body,
    headers.get("content-type") ?? undefined,
    headers.get("webhook-id") ?? undefined,
    headers.get("webhook-timestamp") ?? undefined,
    headers.get("webhook-signature") ?? undefined,
    Date.now(),
  );
  const steps = (await within(DECISION_TIMEOUT_MS, planned)).split("\n");
  if (steps[3] === ASK) {
    const [name, ...question] = new TextDecoder().decode(body).split("\n");
    steps[3] = JSON.stringify({ rows: await host.guard(name, "state", question) });
  }
  return steps;
}

// The body, or undefined when it is over the bound. One that breaks off is as good as none: no signature
// fits it, and it is no JSON.
async function bounded(request) {
  const chunks = [];
  let size = 0;
  try {
    for await (const chunk of request.body ?? []) {
      size += chunk.byteLength;
      if (size > MAX_CONTROL_BYTES) return undefined;
      chunks.push(chunk);
    }
  } catch {
    return new Uint8Array();
  }
  const body = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    body.set(chunk, at);
    at += chunk.byteLength;
  }
  return body;
}

// The last resort, when the Rust side could not even form a refusal.
function unavailable() {
  const title = "Temporarily unavailable";
  const detail = "The request could not be checked. Please try again";
  const requestId = `req_${crypto.randomUUID().replaceAll("-", "").slice(0, 20)}`;
  const body = {
    type: "urn:keyward:problem:guard_unavailable",
    title,
    status: 503,
    detail,
    code: "guard_unavailable",
    requestId,
    error: title,
    message: detail,
    retryAfter: 1,
  };
  const headers = {
    "content-type": "application/problem+json",
    "cache-control": "no-store",
    "retry-after": "1",
    vary: "Origin",
    "x-keyward-request-id": requestId,
  };
  return new Response(JSON.stringify(body), { status: 503, headers });
}

// The guard of one account. Its methods are called by gates over Workers RPC. Each runs to its end without
// an `await`, inside one transaction: it takes effect whole, durably, before its answer leaves (the
// runtime's output gate), or not at all.
export class Guard extends DurableObject {
  #core;
  #instance;
  #pushes = Promise.resolve();

  #run(action) {
    return guarded(() => {
      const { storage } = this.ctx;
      if (this.#instance !== instance) {
        // A transaction of its own: the tables must stay when the first action fails.
        this.#core = storage.transactionSync(() => new GuardCore(new Sql(storage.sql), this.env, crypto.randomUUID()));
        this.#instance = instance;
      }
      return storage.transactionSync(() => action(this.#core));
    });
  }

  async call(message) {
    const result = this.#run((core) => core.call(message, Date.now()));
    await this.#schedule();
    return result;
  }

  // Records go into storage first, then into KV. One push at a time: were an older push still writing to KV
  // while a newer one does, the older value could be the one that stays.
  push(message) {
    const turn = this.#pushes.then(() => this.#push(message));
    this.#pushes = turn.catch(() => {});
    return turn;
  }

  async #push(message) {
    const [result, ...writes] = this.#run((core) => core.push(message, Date.now())).split("\n");
    const { KV } = this.env;
    const pending = [];
    for (let i = 0; i + 1 < writes.length; i += 2) {
      const [name, value] = [writes[i], writes[i + 1]];
      const write = value === "" ? KV.delete(name) : KV.put(name, value);
      // One that never settles must not hold up every later push. The push fails then, and comes again.
      pending.push(within(KV_WRITE_TIMEOUT_MS, write));
    }
    // All of them, also when one fails: none may still be under way when the next push writes.
    const done = await Promise.allSettled(pending);
    const failed = done.find(({ status }) => status === "rejected");
    if (failed) throw failed.reason;
    this.#run((core) => core.pushed());
    return result;
  }

  // Tells the control plane what is held.
  state(question) {
    this.#run(() => {});
    return held(this.ctx.storage.sql, question, (name) => within(KV_TIMEOUT_MS, this.env.KV.get(name, "json")));
  }

  async #schedule() {
    const at = guarded(() => this.#core.take_alarm());
    if (at !== undefined) await this.ctx.storage.setAlarm(at);
  }

  // Posts unreported usage to the control plane, a batch at a time, until none is left or one fails.
  async alarm() {
    for (;;) {
      const sealed = this.#run((core) => core.seal(Date.now()));
      if (sealed === undefined) break;
      const [url, id, timestamp, signature, body] = sealed.split("\n");
      const kept = await post(url, { id, timestamp, signature }, body);
      this.#run((core) => core.sealed_was_kept(kept, Date.now()));
      if (!kept) break;
    }
    await this.#schedule();
  }
}

async function post(url, signed, body) {
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        "webhook-id": signed.id,
        "webhook-timestamp": signed.timestamp,
        "webhook-signature": signed.signature,
      },
      body,
      redirect: "manual",
      signal: AbortSignal.timeout(10_000),
    });
    await response.body?.cancel();
    return response.status === 200;
  } catch {
    return false;
  }
}
