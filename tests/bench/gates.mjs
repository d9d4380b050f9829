// Many gates at one guard: each asks for lease after lease, and with each question reports the lease before.
// `POST` {guard, template, keys, gates, seconds}: the template is a call as a gate makes it.

export default {
  async fetch(request, env) {
    const load = await request.json();
    const stub = env.GUARD.get(env.GUARD.idFromName(load.guard));
    const until = Date.now() + load.seconds * 1000;
    const gates = Array.from({ length: load.gates }, (_, number) => ask(stub, load, number, until));
    const calls = await Promise.all(gates);
    return Response.json({ calls: calls.reduce((sum, each) => sum + each, 0) });
  },
};

async function ask(stub, { template, keys, gates }, number, until) {
  const gate = crypto.randomUUID();
  let calls = 0;
  let settled = [];
  for (let at = number; Date.now() < until; at += gates) {
    const key = at % keys;
    const report = { ...template.report, seq: calls + 1, settled };
    const message = { ...template, gate, ask: { ...template.ask, hash: hashOf(key) }, report };
    const { key: answer } = JSON.parse(await stub.call(JSON.stringify(message)));
    if (answer?.is !== "granted") throw new Error(`the guard answers ${JSON.stringify(answer)}`);
    settled = [{ key: idOf(key), lease: answer.lease, spent: answer.units }];
    calls += 1;
  }
  return calls;
}

// As the benchmark names the keys that it puts into storage.
const hashOf = (key) => key.toString(16).padStart(64, "0");
const idOf = (key) => `key_fill${String(key).padStart(12, "0")}`;
