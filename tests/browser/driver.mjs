// A real Chromium for the tests: reads commands, a line of JSON each, and answers each with one. It decides nothing.
//
//   {"do": "forget"}                 closes every page, forgets cookies and caches
//   {"do": "open", "url"}            a page in a tab of its own         → {"page": number}
//   {"do": "read", "url", "until"}   opens a page, waits for a selector, unfolds some of it → what it shows, asks for, may not
//   {"do": "fetch", "page", "frame", "url", "init"}                     → what a script of that page can learn
//
// The end of the input ends the browser, so none outlives its tests.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { argv, env, exit, stdin, stdout } from "node:process";

const require = createRequire(`${env.KEYWARD_NODE_MODULES}/`);
const { chromium } = require("playwright-core");

// How long a browser may take to say why it refused something.
const REASON_MS = 30_000;
// How long anything may take on a busy machine.
const PATIENCE_MS = 240_000;

const browser = await chromium.launch({
  timeout: PATIENCE_MS,
  executablePath: env.KEYWARD_CHROMIUM,
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    // Every name of the tests is this machine; no other is ever looked up.
    `--host-resolver-rules=${argv[2]}`,
  ],
});
let context;
let tabs = [];

// Chromium's own words on why an answer was kept from a script come over its debugging protocol only.
class Refusals {
  #seen = [];
  #waiting = [];

  constructor(session) {
    session.on("Network.loadingFailed", ({ type, corsErrorStatus, errorText }) => {
      // A preflight that failed is reported beside the request that it was for.
      if (type !== "Fetch") return;
      const reason = corsErrorStatus?.corsError ?? errorText;
      const waiting = this.#waiting.shift();
      if (waiting) waiting(reason);
      else this.#seen.push(reason);
    });
  }

  forget() {
    this.#seen = [];
  }

  async next() {
    if (this.#seen.length > 0) return this.#seen.shift();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, REASON_MS, null);
      this.#waiting.push((reason) => {
        clearTimeout(timer);
        resolve(reason);
      });
    });
  }
}

const commands = {
  async forget() {
    await context?.close();
    context = await browser.newContext();
    context.setDefaultTimeout(PATIENCE_MS);
    tabs = [];
    return { version: browser.version() };
  },

  async open({ url }) {
    const page = await context.newPage();
    const session = await context.newCDPSession(page);
    await session.send("Network.enable");
    const refusals = new Refusals(session);
    await page.goto(url);
    tabs.push({ page, refusals });
    return { page: tabs.length - 1 };
  },

  async read({ url, until }) {
    const page = await context.newPage();
    const [requests, faults] = [[], []];
    page.on("request", (request) => requests.push(request.url()));
    page.on("requestfailed", (request) => faults.push(`failed: ${request.url()}`));
    page.on("pageerror", (error) => faults.push(String(error)));
    page.on("console", (message) => message.type() === "error" && faults.push(message.text()));
    // Before any script of the page, so that none of its violations is missed.
    await page.addInitScript(() => {
      window.violations = [];
      document.addEventListener("securitypolicyviolation", (event) => {
        window.violations.push(`${event.effectiveDirective} ${event.blockedURI} ${event.sample}`);
      });
    });
    await page.goto(url);
    await page.locator(until).first().waitFor();
    const found = await page.locator(until).allInnerTexts();
    for (const part of (await page.locator(until).all()).slice(0, 3)) {
      await part.locator("button").first().click();
    }
    await page.waitForLoadState("networkidle");
    const violations = await page.evaluate(() => window.violations);
    return { found, requests, faults, violations };
  },

  async fetch({ page: number, frame: name, url, init }) {
    const { page, refusals } = tabs[number];
    const frame = name ? page.frame(name) : page.mainFrame();
    refusals.forget();
    const outcome = await frame.evaluate(inPage, { url, init });
    // Frames of other origins may be processes of their own, of which this session hears nothing.
    if (outcome.error && !name) outcome.reason = await refusals.next();
    return outcome;
  },
};

// Runs in the page: everything that a script there can learn of an answer.
async function inPage({ url, init }) {
  try {
    const response = await fetch(url, init);
    const headers = Object.fromEntries(response.headers);
    const body = await response.text();
    return { origin: self.origin, type: response.type, status: response.status, headers, body };
  } catch (error) {
    return { origin: self.origin, error: String(error) };
  }
}

function late() {
  return new Promise((_, reject) => setTimeout(reject, PATIENCE_MS, "not in time").unref());
}

for await (const line of createInterface({ input: stdin })) {
  const command = JSON.parse(line);
  let answer;
  try {
    answer = await Promise.race([commands[command.do](command), late()]);
  } catch (error) {
    answer = { failed: String(error) };
  }
  stdout.write(`${JSON.stringify(answer)}\n`);
}
await browser.close();
exit(0);
