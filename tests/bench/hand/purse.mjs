// Quota from a lease in memory. A lease that is over is followed by another on the spot, which the guarded Worker
// has to ask its guard for: what is spared here is to this rival's advantage.
const LEASE_MS = 1000;
const UNITS = 100_000;
const WINDOWS = [
  ["minute", "requestsPerMinute", 60],
  ["hour", "requestsPerHour", 3600],
  ["day", "requestsPerDay", 86400],
];

export class Purse {
  constructor(limits) {
    const limited = WINDOWS.filter(([, name]) => limits[name] !== undefined);
    this.windows = limited.map(([name, field, seconds]) => {
      return { name, limit: limits[field], left: limits[field], resetAt: 0, seconds };
    });
    this.policy = this.windows.map(({ name, limit, seconds }) => `"${name}";q=${limit};w=${seconds}`).join(", ");
    this.units = 0;
    this.until = 0;
  }

  // Pays, or says false. Every window has room or nothing is paid.
  spend(now, cost) {
    if (now >= this.until || this.units < cost) this.renew(now);
    if (this.units < cost) return false;
    this.units -= cost;
    return true;
  }

  renew(now) {
    let room = UNITS;
    for (const window of this.windows) {
      window.left += this.units;
      room = Math.min(room, window.left);
    }
    for (const window of this.windows) {
      window.left -= room;
      window.resetAt = now + window.seconds * 1000;
    }
    this.units = room;
    this.until = now + LEASE_MS;
  }

  // The window with the least left.
  tightest() {
    let tightest = this.windows[0];
    for (const window of this.windows) if (window.left < tightest.left) tightest = window;
    return tightest;
  }
}
