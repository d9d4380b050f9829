// The quickest store behind a KV binding that there can be: a Map. For rivals that read KV for each request.
import { env } from "cloudflare:workers";

const values = new Map(Object.entries(JSON.parse(env.VALUES)));

export default {
  fetch(request) {
    const { url } = request;
    const end = url.indexOf("?");
    const value = values.get(decodeURIComponent(url.slice(url.indexOf("/", 8) + 1, end < 0 ? undefined : end)));
    return value === undefined ? new Response(null, { status: 404 }) : new Response(value);
  },
};
