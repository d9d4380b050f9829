// The floor: reads what the gate was seen to read, writes what it was seen to write, decides nothing. No promise. Headers
// are written as Workers mostly write them, or else from a set that is made once: the quickest way that workerd has.
import { BODY, HEADERS, MEMBERS, NAMES, PREPARED, STATUS } from "./observed.mjs";

const INIT = { status: STATUS, headers: PREPARED ? new Headers(HEADERS) : Object.fromEntries(HEADERS) };

export default {
  fetch(request) {
    const { headers } = request;
    let read = 1;
    for (let i = 0; i < MEMBERS.length; i += 1) read += request[MEMBERS[i]].length;
    for (let i = 0; i < NAMES.length; i += 1) read += headers.get(NAMES[i])?.length ?? 0;
    return new Response(read > 0 ? BODY : null, INIT);
  },
};
