// The console in a real browser, against a real gateway and a real psql. Started by tests/e2e/tests/console.rs, which
// says in the environment where everything is: URL, TOKENS (by name, as JSON), PSQL (program), PG* of psql as claude,
// CHROMIUM. SHOTS is a directory for pictures, where some are wanted; DIST one with the console's files, which then take
// the place of those in the gateway, while somebody works on them.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";

const { URL: base, PSQL, CHROMIUM, SHOTS, DIST } = process.env;
const tokens = JSON.parse(process.env.TOKENS);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
const alarms = [];

/** A page of a browser of its own. Whatever a page must never do is an alarm. */
async function open(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, ...options });
  context.setDefaultTimeout(10_000);
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
  page.on("dialog", (dialog) => (alarms.push(`a dialog: ${dialog.message()}`), dialog.dismiss()));
  page.on("pageerror", (error) => alarms.push(`an error: ${error.stack}`));
  page.on("console", (message) => {
    // What the API refuses is told on the page.
    if (message.type() === "error" && !/status of 4\d\d/.test(message.text())) alarms.push(`console: ${message.text()}`);
  });
  page.on("request", (request) => request.url().startsWith(base) || alarms.push(`asked ${request.url()}`));
  return page;
}

async function signIn(page, name, path = "/") {
  await page.goto(base + path);
  await page.getByLabel("Token of your identity provider").fill(tokens[name]);
  await page.keyboard.press("Enter");
  await page.getByRole("navigation", { name: "Pages" }).waitFor();
}

/** Nothing that keeps people from using a page, in either scheme. */
async function accessible(page, what) {
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
const psql = (...statements) => psqlAs({}, ...statements);

function psqlAs(who, ...statements) {
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
    for (const until = Date.now() + 15_000; !client.heldAt; await new Promise((done) => setTimeout(done, 10))) {
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
const running = new Set();

const h1 = (page, name) => page.getByRole("heading", { level: 1, name });
/** A review's page, with what was asked of the gateway on it: before that, no key decides anything. */
async function arrived(page, id) {
  await h1(page, `Review ${id}`).waitFor();
  await page.getByRole("region", { name: "Statement" }).waitFor();
}
const shot = async (page, name) => SHOTS && page.screenshot({ path: `${SHOTS}/${name}.png` });

let page;

const steps = {
  async "nobody is signed in at first, and a wrong token says why"() {
    const response = await fetch(base + "/");
    const policy = response.headers.get("content-security-policy");
    assert.match(policy, /^default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; /);
    assert.doesNotMatch(policy, /unsafe/);
    const again = await fetch(base + "/", { headers: { "If-None-Match": response.headers.get("etag") } });
    assert.equal(again.status, 304);
    page = await open();
    await page.goto(base);
    await h1(page, "Sign in to Portcullis").waitFor();
    await accessible(page, "sign-in");
    await page.getByLabel("Token of your identity provider").fill("a.b.c");
    await page.keyboard.press("Enter");
    await page.getByRole("alert").filter({ hasText: /token/ }).waitFor();
  },

  async "a token signs in, and nothing waits"() {
    await signIn(page, "bo");
    await page.getByText("Nothing waits for you.").waitFor();
    await accessible(page, "empty queue");
    const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]));
    assert.ok(!kept.includes(tokens.bo.slice(0, 20)), "the token is kept in memory alone");
  },

  async "a held DELETE shows within a second, and is approved by keyboard"() {
    await page.getByRole("button", { name: "Notify me" }).click();
    const client = psql("DELETE FROM orders WHERE status = 'test' AND id > 800");
    const id = await client.held();
    await page.locator(`#${id}`).waitFor();
    const took = Date.now() - client.heldAt;
    console.log(`   shown ${took} ms after psql was told`);
    assert.ok(took < 3000);
    const [told] = await page.evaluate(() => window.told);
    assert.match(told.title, /^Review: DELETE on public\.orders/);
    assert.ok(!JSON.stringify(told).includes("800"), "a notification has nothing of the statement");
    await accessible(page, "queue");
    await shot(page, "console-queue");
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    await arrived(page, id);
    await page.getByText("none before, as far as you may see").waitFor();
    const parts = await page.locator("[data-part]").evaluateAll((all) => all.map((part) => part.dataset.part));
    assert.deepEqual(parts, Array.from({ length: 12 }, (_, n) => String(n + 1)));
    assert.equal(await page.getByRole("region", { name: "Statement" }).textContent(), "DELETE FROM orders WHERE status = 'test' AND id > 800");
    for (const part of ["signed-off: a DBA signs it off", "claude agent for ana", "database shop, as role owner", "53 bytes"]) {
      await page.getByText(part).first().waitFor();
    }
    await accessible(page, "review");
    await shot(page, "console-review");
    await page.keyboard.press("a");
    const question = page.getByRole("dialog", { name: "Approve once" });
    await question.waitFor();
    await accessible(page, "approve");
    assert.equal(running.size, 1, "nothing runs before it is confirmed");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await client.ends(0, "DELETE ");
    await page.getByText("approved, and it has run").waitFor();
    await page.keyboard.press("Escape");
    await page.getByText("Nothing waits for you.").waitFor();
  },

  async "a rejection and its reason reach psql, and the next review knows of it"() {
    const client = psql("DELETE FROM orders WHERE id = 700");
    const id = await client.held();
    await page.locator(`#${id}`).waitFor();
    await page.keyboard.press("Enter");
    await arrived(page, id);
    await page.keyboard.press("r");
    await page.getByRole("dialog", { name: "Reject" }).waitFor();
    await page.getByRole("textbox", { name: "Why" }).fill("use the returns screen");
    await accessible(page, "reject");
    await page.keyboard.press("Enter");
    await client.ends(1, "use the returns screen");
    await page.getByText("rejected by bo: use the returns screen").waitFor();
    const again = psql("DELETE FROM orders WHERE id = 701");
    const next = await again.held();
    await page.keyboard.press("Escape");
    await page.locator(`#${next}`).click();
    await page.getByText("approved 0 times, rejected 1 times").waitFor();
    await page.keyboard.press("Escape");
    await h1(page, "Reviews").waitFor();
    await page.locator(`#${next}`).click();
    await arrived(page, next);
    await page.keyboard.press("a");
    await page.getByRole("dialog").waitFor();
    // Esc closes the question, and only that.
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await arrived(page, next);
    await page.getByRole("button", { name: /^Approve once/ }).click();
    await page.getByRole("button", { name: "Approve", exact: true }).click();
    await again.ends(0, "DELETE ");
    await page.keyboard.press("Escape");
  },

  async "whatever a caller writes is text, and what hides in it is shown"() {
    const text = `DELETE FROM "<img src=x onerror=alert(1)>" -- \u202e\u200b\u2066 <script>alert(2)</script>\n WHERE note = '</pre><svg onload=alert(3)>\u{e0041}'`;
    const client = psql(text);
    const id = await client.held();
    await page.locator(`#${id}`).waitFor();
    await accessible(page, "hostile queue");
    await page.keyboard.press("Enter");
    await arrived(page, id);
    const shown = await page.getByRole("region", { name: "Statement" }).textContent();
    assert.equal(shown, text.replace("\u202e", "U+202E").replace("\u200b", "U+200B").replace("\u2066", "U+2066").replace("\u{e0041}", "U+E0041"));
    assert.equal(await page.locator("pre .hidden-character").count(), 4);
    await page.getByText("delete shop.public.<img src=x onerror=alert(1)>").first().waitFor();
    assert.equal(await page.locator("img, svg, iframe, object, #app script").count(), 0);
    await accessible(page, "hostile review");
    await shot(page, "console-hidden-characters");
    await page.keyboard.press("r");
    await page.getByRole("textbox", { name: "Why" }).fill("<img src=x onerror=alert(4)>");
    await page.keyboard.press("Enter");
    await client.ends(1, "<img src=x onerror=alert(4)>");
    await page.getByText("rejected by bo: <img src=x onerror=alert(4)>").waitFor();
    assert.equal(await page.locator("img").count(), 0);
    await page.keyboard.press("Escape");
  },

  async "what was rehearsed is shown before and after"() {
    const client = psql("UPDATE reviewed SET v = 7 WHERE id < 3");
    const id = await client.held();
    await page.locator(`#${id}`).click();
    await page.getByText("UPDATE 2", { exact: true }).waitFor();
    const before = page.getByRole("region", { name: "Rows before" });
    await before.waitFor();
    assert.deepEqual(await before.getByRole("cell").allTextContents(), ["1", "0", "2", "0"]);
    assert.deepEqual(await page.getByRole("region", { name: "Rows after" }).getByRole("cell").allTextContents(), ["1", "7", "2", "7"]);
    await page.getByText("rejecting rolls it back").waitFor();
    await accessible(page, "rehearsed review");
    await page.keyboard.press("a");
    await page.getByRole("button", { name: "Approve", exact: true }).click();
    await client.ends(0, "UPDATE 2");
    await page.keyboard.press("Escape");
  },

  async "a pattern lets the next one through, and is listed while it is good"() {
    const client = psql("DELETE FROM signed WHERE id = 1", "DELETE FROM signed WHERE id = 2", "SELECT pg_sleep(60)");
    const id = await client.held();
    await page.locator(`#${id}`).click();
    await arrived(page, id);
    await page.keyboard.press("p");
    await page.getByRole("region", { name: "Pattern" }).filter({ hasText: "‹any number›" }).waitFor();
    await accessible(page, "pattern");
    await page.getByLabel("Minutes").fill("5");
    await page.getByRole("button", { name: "Approve the pattern", exact: true }).click();
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await page.keyboard.press("Escape");
    await h1(page, "Reviews").waitFor();
    await page.getByText("1 of 20 used").waitFor();
    await accessible(page, "patterns");
    await page.getByRole("button", { name: /^Revoke pat_/ }).click();
    await page.getByRole("button", { name: "Revoke it" }).click();
    await page.getByText("1 of 20 used").waitFor({ state: "detached" });
    await page.getByRole("link", { name: "Live" }).click();
    await page.getByText("SELECT pg_sleep(60)").waitFor();
    await accessible(page, "live");
    await shot(page, "console-live");
    await page.keyboard.press("x");
    await page.getByRole("textbox", { name: "Why" }).fill("it sleeps <b>too</b> long");
    await accessible(page, "kill");
    await page.keyboard.press("Enter");
    await client.ends(2, "it sleeps <b>too</b> long");
    assert.equal((client.said.match(/DELETE 1/g) ?? []).length, 2, client.said);
    await page.getByText("Nobody is connected").waitFor();
  },

  async "a freeze keeps agents from writing until it is thawed, and every page says so"() {
    await page.getByRole("button", { name: "Freeze agents…" }).click();
    await page.getByRole("textbox", { name: "Why" }).fill("a bad deploy <i>");
    await accessible(page, "freeze");
    await page.keyboard.press("Enter");
    const banner = page.getByText("agents are kept from writing everywhere");
    await banner.waitFor();
    await page.getByText("a bad deploy <i>").waitFor();
    await accessible(page, "frozen");
    await psql("INSERT INTO signed VALUES (1000)").ends(1, "a bad deploy");
    await page.getByRole("link", { name: /^Reviews/ }).click();
    await banner.waitFor();
    await page.getByRole("button", { name: /^Thaw frz_|^Thaw / }).click();
    await page.getByRole("button", { name: "Thaw", exact: true }).click();
    await banner.waitFor({ state: "detached" });
    await psql("INSERT INTO signed VALUES (1000)").ends(0, "INSERT 0 1");
  },

  async "a credential is listed and revoked"() {
    await page.getByRole("link", { name: "Credentials" }).click();
    await page.getByText("for the <console> test").waitFor();
    await accessible(page, "credentials");
    await page.getByRole("button", { name: /^Revoke / }).click();
    await page.getByRole("button", { name: "Revoke it" }).click();
    await page.getByText("There are none.").waitFor();
    await page.getByLabel("expired and revoked ones too").check();
    await page.getByText("revoked by bo").waitFor();
  },

  async "who asked may look, and not decide"() {
    const client = psql("DELETE FROM orders WHERE id = 702");
    const id = await client.held();
    const ana = await open();
    await signIn(ana, "ana", `/reviews/${id}`);
    await arrived(ana, id);
    await ana.keyboard.press("a");
    await ana.getByRole("dialog").waitFor();
    await ana.getByRole("button", { name: "Approve", exact: true }).click();
    await ana.getByRole("alert").filter({ hasText: /somebody else decides it/ }).waitFor();
    await ana.context().close();
    const none = await open();
    await signIn(none, "bo", "/reviews/rev_00000000000g1");
    await none.getByText("there is no such review for you").waitFor();
    await none.context().close();

    const phone = await open({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
    await signIn(phone, "bo");
    await phone.locator(`#${id}`).waitFor();
    const fits = () => phone.evaluate(() => document.documentElement.scrollWidth <= innerWidth);
    assert.ok(await fits(), "the queue fits a phone");
    await accessible(phone, "queue on a phone");
    await phone.locator(`#${id}`).tap();
    await arrived(phone, id);
    assert.ok(await fits(), "the review fits a phone");
    await accessible(phone, "review on a phone");
    await shot(phone, "console-phone");
    await phone.getByRole("button", { name: /^Approve once/ }).tap();
    await phone.getByRole("button", { name: "Approve", exact: true }).tap();
    await client.ends(0, "DELETE ");
    await phone.getByRole("link", { name: "Live" }).tap();
    assert.ok(await fits(), "sessions fit a phone");
    await phone.context().close();
  },

  async "events and what stands around a review are for those who may see it"() {
    const call = (path, token, signal) =>
      fetch(base + path, { headers: token ? { Authorization: `Bearer ${token}` } : {}, ...(signal && { signal }) });
    const list = async (path, token) => (await (await call(path, token)).json()).map(({ id }) => id).sort();
    /** What is told at first, by kind. */
    const first = async (token) => {
      const stop = new AbortController();
      const response = await call("/api/v1/events", token, stop.signal);
      assert.equal(response.headers.get("content-type"), "text/event-stream");
      const told = {};
      let text = "";
      for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
        text += piece;
        for (const [, kind, data] of text.matchAll(/event: (\w+)\ndata: (.*)\n\n/g)) told[kind] = JSON.parse(data).map(({ id }) => id).sort();
        if (Object.keys(told).length === 3) break;
      }
      stop.abort();
      return told;
    };
    for (const path of ["/api/v1/events", "/api/v1/reviews/rev_00000000000g1/context"]) {
      const response = await call(path);
      assert.deepEqual([response.status, response.headers.get("content-type")], [401, "application/problem+json"]);
    }
    const [agents, own] = [psql("DELETE FROM orders WHERE id = 703"), psqlAs({ PGUSER: "ana", PGPASSWORD: tokens.ana }, "DELETE FROM orders WHERE id = 704")];
    const [agentsId, ownId] = [await agents.held(), await own.held()];
    const sees = { bo: [agentsId, ownId], ana: [agentsId, ownId], claude: [agentsId], deckard: [] };
    for (const [name, reviews] of Object.entries(sees)) {
      const told = await first(tokens[name]);
      assert.deepEqual(told.reviews, reviews.sort(), name);
      for (const kind of ["reviews", "sessions", "freezes"]) {
        assert.deepEqual(told[kind], await list(`/api/v1/${kind}`, tokens[name]), `${name} is told what the list has`);
      }
      for (const id of [agentsId, ownId]) {
        const status = (await call(`/api/v1/reviews/${id}/context`, tokens[name])).status;
        assert.equal(status, reviews.includes(id) ? 200 : 404, `${name}, ${id}`);
      }
    }
    const many = Array.from({ length: 9 }, () => new AbortController());
    const answers = [];
    for (const { signal } of many) answers.push((await call("/api/v1/events", tokens.claude, signal)).status);
    assert.deepEqual([answers.filter((status) => status === 200).length, answers.at(-1)], [8, 429]);
    many.forEach((stop) => stop.abort());
    for (const until = Date.now() + 5000; (await call("/api/v1/events", tokens.claude, AbortSignal.timeout(300))).status !== 200;) {
      assert.ok(Date.now() < until, "a place is free again once somebody has left");
    }
    for (const client of [agents, own]) client.withdraw();
    await Promise.all([agents.end, own.end]);
  },

  async "colours are switched, shortcuts too, and signing out ends it"() {
    const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await ground();
    await page.getByLabel("Colours").selectOption("dark");
    assert.notEqual(await ground(), light);
    await page.getByLabel("Colours").selectOption("auto");
    assert.equal(await ground(), light);
    await page.keyboard.press("?");
    assert.equal(await page.getByRole("dialog").count(), 0, "keys that are typed into a field are no shortcuts");
    await h1(page, "Credentials").click();
    await page.keyboard.press("?");
    await page.getByRole("dialog", { name: "Keyboard" }).waitFor();
    await accessible(page, "keyboard");
    await page.getByLabel("single keys are shortcuts").uncheck();
    await page.getByRole("button", { name: "Done" }).click();
    await page.keyboard.press("?");
    assert.equal(await page.getByRole("dialog").count(), 0);
    await page.getByRole("button", { name: "Sign out" }).click();
    await h1(page, "Sign in to Portcullis").waitFor();
  },
};

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
    const seen = await page?.locator("body").innerText({ timeout: 2000 }).catch(() => "");
    console.log(`the page: ${page?.url()}\n${seen}`);
    break;
  }
}
for (const child of running) child.kill();
await browser.close();
process.exit(failed ? 1 : 0);
