// A pass-through that takes away and writes the headers that the gate was seen to, and decides nothing.
import { DROPPED, TO_CALLER, TO_UPSTREAM } from "./observed.mjs";

export default {
  fetch(request, env) {
    const { url, method, body } = request;
    const headers = new Headers(request.headers);
    for (const name of DROPPED) headers.delete(name);
    for (const [name, value] of TO_UPSTREAM) headers.set(name, value);
    const target = env.UPSTREAM + url.slice(url.indexOf("/", 8));
    return fetch(target, { method, headers, body, redirect: "manual" }).then((upstream) => {
      const response = new Response(upstream.body, upstream);
      for (const [name, value] of TO_CALLER) response.headers.set(name, value);
      return response;
    });
  },
};
