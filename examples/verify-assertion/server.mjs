// An upstream that serves nobody but Keyward: ASSERTION_SECRET=… API_ID=api_… PORT=8080 node server.mjs
import { createServer } from "node:http";
import { verifyAssertion } from "./verify.mjs";

const { ASSERTION_SECRET: secret, API_ID: api, PORT: port } = process.env;

createServer(async (request, response) => {
  let status = 200;
  let body;
  try {
    body = await verifyAssertion(request, { secret, api });
  } catch (error) {
    status = 401;
    body = { error: error.message };
  }
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}).listen(Number(port), "127.0.0.1");
