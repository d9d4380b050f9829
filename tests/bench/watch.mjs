// Notes what a Worker reads of a request while it answers, up to its first promise.
let watched;
let names = [];
let members = [];

function wrap(prototype, name, note) {
  const real = prototype[name];
  prototype[name] = function (...args) {
    if (this === watched) note(args);
    return real.apply(this, args);
  };
}

for (const name of ["get", "has"]) wrap(Headers.prototype, name, ([header]) => names.push(header.toLowerCase()));
for (const name of ["entries", "keys", "values", "forEach", Symbol.iterator]) {
  wrap(Headers.prototype, name, () => names.push("*"));
}
for (const name of ["method", "url", "cf"]) {
  const real = Object.getOwnPropertyDescriptor(Request.prototype, name);
  Object.defineProperty(Request.prototype, name, {
    ...real,
    get() {
      if (watched && this.headers === watched) members.push(name);
      return real.get.call(this);
    },
  });
}

export function watch(request, action) {
  watched = request.headers;
  names = [];
  members = [];
  try {
    return action();
  } finally {
    watched = undefined;
  }
}

export const seen = () => ({ names, members });
