// Tells whether a request came through Keyward: for an upstream in JavaScript, with the library `jose`.
import { jwtVerify } from "jose";

// Gives what is asserted: `sub` is the key's id, `account` and `environment` are the key's. Throws when the request
// did not come through Keyward, or when its assertion was made for another request, for another API, or too long ago.
// `request` is Node's; `secret` is the edge's ASSERTION_SECRET; `api` is the id of the API that this upstream serves.
export async function verifyAssertion(request, { secret, api }) {
  const assertion = request.headers["x-keyward-assertion"] ?? "";
  const { payload } = await jwtVerify(assertion, new TextEncoder().encode(secret), {
    algorithms: ["HS256"],
    issuer: "keyward",
    audience: api,
    requiredClaims: ["exp"],
    clockTolerance: "5s",
  });
  const [path] = request.url.split("?");
  if (payload.method !== request.method || payload.path !== path) throw new Error("made for another request");
  return payload;
}
