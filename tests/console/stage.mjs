// What the suites in a browser share: a real Chromium, psql as an agent, and what no page may ever do. The environment
// says where everything is: URL (of the gateway), PSQL (program), PG* of psql as claude, CHROMIUM. SHOTS is a directory
// for pictures, where some are wanted; DIST one with the console's files, which then take the place of those in the
// gateway, while somebody works on them.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";

const { PSQL, CHROMIUM, SHOTS, DIST } = process.env;
export const base = process.env.URL;
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
export const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
export const alarms = [];
/** Programs that have not ended yet. */
export const running = new Set();
/** How long something may take that waits for nobody: a loaded machine is slow. */
const PATIENCE = 30_000;

/** A page of a browser of its own. Whatever a page of the gateway must never do is an alarm; those of `elsewhere`, where
 * providers are, reach nothing but themselves. */
export async function open({ elsewhere = [], ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, ...options });
  context.setDefaultTimeout(PATIENCE);
  await context.addInitScript(axe);
  await context.addInitScript(() => {
    window.told = [];
    window.Notification = class {
      static permission = "default";
      static requestPermission() {
        return Promise.resolve((window.Notification.permission = "granted"));
      }
      constructor(title, options) {
        window.told.push({ title, ...options });
      }
    };
  });
  if (DIST) {
    await context.route(/\/assets\//, (route) => {
      const name = route.request().url().replace(/.*\//, "");
      return route.fulfill({ path: `${DIST}/${name}` });
    });
    await context.route((url) => !/^\/(api|assets|auth)\//.test(url.pathname), async (route) => {
      const response = await route.fetch();
      return route.fulfill({ response, status: 200, contentType: "text/html", body: readFileSync(`${DIST}/index.html`) });
    });
  }
  const page = await context.newPage();
  const within = (places, url) => places.some((place) => url.startsWith(`${place}/`));
  if (elsewhere.length > 0) await context.route((url) => !within([base, ...elsewhere], url.href), (route) => route.abort());
  page.on("dialog", (dialog) => (alarms.push(`a dialog: ${dialog.message()}`), dialog.dismiss()));
  page.on("pageerror", (error) => alarms.push(`an error: ${error.stack}`));
  page.on("console", (message) => {
    // What the API refuses is told on the page; what is not from here, was asked.
    const told = /status of 4\d\d/.test(message.text()) || (elsewhere.length > 0 && !within([base], message.location().url));
    if (message.type() === "error" && !told) alarms.push(`console: ${message.text()}`);
  });
  page.on("request", (request) => {
    const theirs = within(elsewhere, request.headers().referer ?? "");
    if (!theirs && !within([base, ...elsewhere], request.url())) alarms.push(`asked ${request.url()}`);
  });
  return page;
}

/** Nothing that keeps people from using a page, in either scheme. */
export async function accessible(page, what) {
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    const { violations, passes } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
    assert.ok(passes.length > 5, `${what}: axe looked at almost nothing`);
    const grave = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
    const told = grave.map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.html} ${node.failureSummary}`).join("\n")}`);
    assert.deepEqual(told, [], `${what}, ${colorScheme}`);
  }
  await page.emulateMedia({ colorScheme: "light" });
}

/** psql as claude: what it says so far, and its end. */
export const psql = (...statements) => psqlAs({}, ...statements);

export function psqlAs(who, ...statements) {
  const options = ["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", ...statements.flatMap((text) => ["-c", text])];
  const child = spawn(PSQL, options, { env: { ...process.env, ...who } });
  running.add(child);
  const client = { said: "", heldAt: 0 };
  const hear = (data) => {
    client.said += data;
    if (!client.heldAt && client.said.includes("held for review")) client.heldAt = Date.now();
  };
  child.stdout.on("data", hear);
  child.stderr.on("data", hear);
  client.end = new Promise((resolve) => child.on("close", (code) => (running.delete(child), resolve(code))));
  client.held = async () => {
    for (const until = Date.now() + PATIENCE; !client.heldAt; await new Promise((done) => setTimeout(done, 10))) {
      assert.ok(Date.now() < until, `psql is not held: ${client.said}`);
    }
    return /rev_\w+/.exec(client.said)[0];
  };
  client.withdraw = () => child.kill("SIGINT");
  client.ends = async (code, what) => {
    assert.equal(await client.end, code, client.said);
    assert.ok(client.said.includes(what), client.said);
  };
  return client;
}
export const h1 = (page, name) => page.getByRole("heading", { level: 1, name });
/** A review's page, with what was asked of the gateway on it: before that, no key decides anything. */
export async function arrived(page, id) {
  await h1(page, `Review ${id}`).waitFor();
  await page.getByRole("region", { name: "Statement" }).waitFor();
}
/** A picture, for the documentation: with no path of the machine it is made on. */
export async function shot(page, name) {
  if (!SHOTS) return;
  await page.evaluate(() => {
    const all = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (all.nextNode()) {
      const node = all.currentNode;
      node.data = node.data.replace(/[^\s$("]*\/portcullis --config \S+/, "portcullis --config portcullis.toml").replace(/\/\S*\/portcullis-arena-\w+\//g, "");
    }
  });
  await page.screenshot({ path: `${SHOTS}/${name}.png` });
}

/** A key that opens what `shown` is: keys pressed before the page listens are lost. */
export async function press(page, key, shown) {
  for (const until = Date.now() + PATIENCE; !(await shown.isVisible()); await page.waitForTimeout(100)) {
    assert.ok(Date.now() < until, `the key ${key} does nothing`);
    await page.keyboard.press(key);
  }
}

/** All steps in their order, up to the first that fails; says what is on the pages then. */
export async function run(steps, pages) {
  let failed = false;
  for (const [name, step] of Object.entries(steps)) {
    const started = Date.now();
    try {
      await step();
      assert.deepEqual(alarms, []);
      console.log(`ok ${name} (${Date.now() - started} ms)`);
    } catch (error) {
      failed = true;
      console.log(`not ok ${name}\n${error.stack}\nalarms: ${alarms.join("\n")}`);
      for (const page of pages().filter(Boolean)) {
        const seen = await page.locator("body").innerText({ timeout: 2000 }).catch(() => "");
        console.log(`the page: ${page.url()}\n${seen}`);
      }
      break;
    }
  }
  for (const child of running) child.kill();
  await browser.close();
  process.exit(failed ? 1 : 0);
}
