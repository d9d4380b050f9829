// A bare pass-through to the upstream.
export default {
  fetch(request, env) {
    const { url } = request;
    return fetch(env.UPSTREAM + url.slice(url.indexOf("/", 8)), request);
  },
};
