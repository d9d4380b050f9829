// A simulation of Workers KV's network: the store behind workerd's KV binding, which speaks HTTP to it.
// Everything else is real. Like the real one it may lag: what is written, or deleted, is seen only `lag`
// milliseconds later; a write is on its way for `slow` milliseconds, a read for `slowReads`; `broken` fails every call.
// It lives on disk, so it outlasts a killed workerd.
import { DurableObject } from "cloudflare:workers";

export default {
  fetch(request, env) {
    return env.STORE.get(env.STORE.idFromName("kv")).fetch(request);
  },
};

export class Store extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env);
    ctx.storage.sql.exec(
      `create table if not exists versions (
         seq integer primary key, name text not null, at integer not null, seen_at integer not null, value text);
       create index if not exists by_name on versions (name, seq);
       create table if not exists settings (name text primary key, value integer not null);`,
    );
    this.reads = 0;
    this.writes = 0;
  }

  async fetch(request) {
    const url = new URL(request.url);
    if (url.pathname.startsWith("/__simulation/")) return this.control(request, url);
    const name = decodeURIComponent(url.pathname.slice(1));
    // Read in any case: workerd takes no answer before its body is.
    const value = request.method === "PUT" ? await request.text() : null;
    if (this.setting("broken")) return new Response("simulated failure", { status: 500 });
    if (request.method === "GET") return this.read(name);
    this.writes += 1;
    await this.pause("slow");
    const now = Date.now();
    this.ctx.storage.sql.exec(
      "insert into versions (name, at, seen_at, value) values (?, ?, ?, ?)",
      name,
      now,
      now + this.setting("lag"),
      value,
    );
    return new Response(null, { status: 200 });
  }

  async read(name) {
    this.reads += 1;
    await this.pause("slowReads");
    const rows = this.ctx.storage.sql
      .exec("select value from versions where name = ? and seen_at <= ? order by seq desc limit 1", name, Date.now())
      .toArray();
    const value = rows[0]?.value;
    return typeof value === "string" ? new Response(value) : new Response(null, { status: 404 });
  }

  async pause(name) {
    const ms = this.setting(name);
    if (ms) await new Promise((resolve) => setTimeout(resolve, ms));
  }

  setting(name) {
    const rows = this.ctx.storage.sql.exec("select value from settings where name = ?", name).toArray();
    return rows[0]?.value ?? 0;
  }

  control(request, url) {
    if (url.pathname.endsWith("/history")) {
      return Response.json(this.ctx.storage.sql.exec("select name, at, value from versions order by seq").toArray());
    }
    if (request.method === "GET") return Response.json({ reads: this.reads, writes: this.writes });
    for (const [name, value] of url.searchParams) {
      this.ctx.storage.sql.exec("insert or replace into settings (name, value) values (?, ?)", name, Number(value));
    }
    return new Response(null, { status: 204 });
  }
}
