// What the guarded Worker is compared with, on the same runtime.

// Answers, and nothing else.
export const empty = { fetch: () => new Response("ok") };

const VERDICT = JSON.stringify({
  valid: true,
  status: 200,
  code: "ok",
  requestId: "req_00000000000000000000",
  keyId: "key_00000000000000000000",
  accountId: "acc_00000000",
  ownerId: null,
  environment: "production",
  permissions: ["*"],
  cost: 1,
  windows: [{ window: "minute", limit: 4000000000, remaining: 3999999999, resetSeconds: 61 }],
});
const READ = [
  "authorization",
  "x-api-key",
  "origin",
  "cf-connecting-ip",
  "access-control-request-method",
  "access-control-request-headers",
];
const WRITTEN = {
  "content-type": "application/json",
  "cache-control": "no-store",
  "x-ratelimit-limit": "4000000000",
  "x-ratelimit-remaining": "3999999999",
  "x-ratelimit-reset": "1795296677",
  "ratelimit-policy": '"minute";q=4000000000;w=60',
  ratelimit: '"minute";r=3999999999;t=61',
};

function readHead(request) {
  let read = request.method.length + request.url.length;
  for (const name of READ) read += request.headers.get(name)?.length ?? 0;
  return read;
}

// The floor: reads the same request, writes the same answer, decides nothing.
export const floor = {
  async fetch(request) {
    const read = readHead(request) + (await request.text()).length;
    return new Response(read > 0 ? VERDICT : null, { headers: WRITTEN });
  },
};

// A bare pass-through to the upstream.
export const passThrough = {
  fetch: (request, env) => {
    const url = new URL(request.url);
    return fetch(new Request(env.UPSTREAM + url.pathname + url.search, request));
  },
};
