// The console in a real browser, against a real gateway and a real psql. Started by tests/e2e/tests/console.rs, which
// says in the environment where everything is: what stage.mjs wants, and TOKENS (by name, as JSON).
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { dirname } from "node:path";
import { accessible, arrived, base, h1, open, psql, psqlAs, run, running, shot } from "./stage.mjs";

const { PSQL } = process.env;
const tokens = JSON.parse(process.env.TOKENS);

async function signIn(page, name, path = "/") {
  await page.goto(base + path);
  await page.getByLabel("Token of your identity provider").fill(tokens[name]);
  await page.keyboard.press("Enter");
  await page.getByRole("navigation", { name: "Pages" }).waitFor();
}

/** Every rule can be read, what they say to a statement asked, and why something was said to a recorded one. */
async function explained(page) {
  await signIn(page, "bo", "/policies");
  await page.getByText("comes with the gateway").first().click();
  await page.getByText("allow-all-for-testing").first().click();
  await page.getByRole("region", { name: "Text of allow-all-for-testing" }).waitFor();
  await page.getByRole("link", { name: "Ask what they say to a statement" }).click();
  await h1(page, "Why something is said to a request").waitFor();
  await page.getByLabel("Statement").fill("SELECT count(*) FROM signed");
  await page.getByLabel(/^Who asks/).fill("agent:claude");
  await page.getByLabel(/^Its groups/).fill("agents");
  await page.getByRole("button", { name: "Explain" }).click();
  await page.getByRole("heading", { name: "refuse by no-signed" }).waitFor();
  await accessible(page, "explain");
  await page.setViewportSize({ width: 390, height: 800 });
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "it fits a phone");
  await page.setViewportSize({ width: 1280, height: 860 });
  await page.getByRole("link", { name: "Sessions" }).click();
  await page.locator("main a[href^='/sessions/']").first().click();
  await page.getByRole("link", { name: "why?" }).first().click();
  await page.getByRole("heading", { name: "refuse by no-signed" }).waitFor();
  await page.close();
}

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

  async "somebody new pastes a command, and sees the session it made"() {
    const ana = await open({ permissions: ["clipboard-read", "clipboard-write"] });
    await signIn(ana, "ana");
    await h1(ana, "Start").waitFor();
    assert.equal(ana.url(), `${base}/start`);
    await ana.getByText("Waiting for your first session").waitFor();
    await ana.getByText("you may change data").waitFor();
    assert.equal(await ana.locator(".reach > li").count(), 1, "nothing is said of what does not let ana in");
    const told = (name) => ana.getByRole("region", { name, exact: true }).textContent();
    const command = await told("psql command for shop");
    await h1(ana, "Start").click();
    await ana.keyboard.press("c");
    await ana.getByText("copied", { exact: true }).waitFor();
    assert.equal(await ana.evaluate(() => navigator.clipboard.readText()), command);
    await accessible(ana, "start");
    await shot(ana, "console-start");
    // In a shell that knows nothing else.
    const env = { PATH: `${dirname(PSQL)}:${process.env.PATH}`, HOME: "/nonexistent" };
    const shell = (script) => execFileSync("sh", ["-c", script], { env, encoding: "utf8", stdio: "pipe" });
    assert.equal(shell(`${command} -XAtc "SELECT 6 * 7"`), "42\n");
    await ana.getByText("You are connected").waitFor();
    await accessible(ana, "start, connected");
    await ana.getByText("Other clients").click();
    const uri = await told("URI for shop");
    assert.equal(shell(`${command.replace(/ psql .*/, "")} psql '${uri}' -XAtc "SELECT 'by URI'"`), "by URI\n");
    await accessible(ana, "other clients");
    await ana.getByRole("link", { name: /^your session on/ }).click();
    await ana.getByText("SELECT 6 * 7").first().waitFor();
    await ana.goto(base + "/");
    await ana.context().close();
    const again = await open({ viewport: { width: 390, height: 780 } });
    await signIn(again, "ana");
    await h1(again, "Reviews").waitFor();
    await again.getByRole("link", { name: "Start" }).click();
    await again.getByText("You are connected").waitFor();
    assert.ok(await again.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "the start page fits a phone");
    await accessible(again, "start on a phone");
    await again.context().close();
  },

  async "administrators see how everything stands, others what is theirs, and agents nothing"() {
    const ada = await open();
    await signIn(ada, "bo", "/connections");
    await ada.getByText("Leads to").first().waitFor();
    await ada.getByText("Nobody has looked yet whether it answers").first().waitFor();
    await accessible(ada, "connections");
    const go = (name) => ada.getByRole("navigation", { name: "Pages" }).getByRole("link", { name, exact: true }).click();
    await go("Health");
    const looked = ada.getByText(/^Looked at .* ago, in \d+ ms/);
    await looked.waitFor();
    const targets = ada.getByRole("region", { name: "targets" });
    await targets.getByText(/^connection shop, role owner: PostgreSQL/).waitFor();
    await targets.getByText(/has wide rights/).first().waitFor();
    await accessible(ada, "health");
    await shot(ada, "console-health");
    await ada.keyboard.press("v");
    await looked.waitFor();
    await go("Connections");
    await ada.getByText(/^connection shop, role owner: PostgreSQL/).waitFor();
    await accessible(ada, "connections that were looked at");
    await shot(ada, "console-connections");
    await go("Settings");
    await ada.getByRole("cell", { name: "listen.postgres.address" }).waitFor();
    await accessible(ada, "settings");
    await h1(ada, "Settings").click();
    await ada.keyboard.press("/");
    await ada.keyboard.type("vault");
    assert.ok(await ada.getByRole("cell", { name: "connections.vault.target.password_file" }).isVisible());
    assert.equal(await ada.getByRole("cell", { name: "listen.postgres.address" }).count(), 0);
    await go("Audit");
    await ada.getByText("It was not verified since").waitFor();
    await h1(ada, "Audit").click();
    await ada.keyboard.press("v");
    await ada.getByText("the record is whole.").waitFor();
    await ada.getByText(/^good: /).waitFor();
    await ada.getByRole("cell", { name: /^the gateway was started/ }).waitFor();
    await accessible(ada, "audit");
    await shot(ada, "console-audit");
    await go("Identity");
    await ada.getByRole("heading", { name: "development" }).waitFor();
    await ada.getByText("Nobody has signed in at a provider in a browser.").waitFor();
    await accessible(ada, "identity");
    const seen = new Map();
    for (const path of ["connections", "health", "settings", "audit", "identity"]) {
      const call = (name) => fetch(`${base}/api/v1/${path}`, { headers: { Authorization: `Bearer ${tokens[name]}` } });
      seen.set(path, await (await call("bo")).text());
      for (const name of ["claude", "deckard"]) assert.equal((await call(name)).status, 403, `${path} as ${name}`);
      assert.equal((await call("ana")).status, path === "connections" ? 200 : 403, `${path} as ana`);
    }
    const [own] = await (await fetch(`${base}/api/v1/connections`, { headers: { Authorization: `Bearer ${tokens.ana}` } })).json();
    assert.equal(own.name, "shop");
    assert.ok(!("inside" in own), "where a connection leads is not for everybody");
    for (const [path, text] of seen) assert.ok(!/app-secret-of-the-arena|BEGIN [A-Z ]*PRIVATE KEY/.test(text), path);
    const agents = await (await fetch(`${base}/api/v1/manifest`, { headers: { Authorization: `Bearer ${tokens.claude}` } })).text();
    assert.ok(!agents.includes("portcullis.toml"), "an agent hears nothing of the gateway's machine");
    await ada.setViewportSize({ width: 390, height: 780 });
    for (const name of ["Connections", "Health", "Settings", "Audit", "Identity"]) {
      await go(name);
      await h1(ada, name).waitFor();
      await ada.waitForTimeout(300);
      assert.ok(await ada.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${name} fits a phone`);
      await accessible(ada, `${name} on a phone`);
    }
    await ada.context().close();
    const ana = await open();
    await signIn(ana, "ana", "/health");
    await ana.getByRole("alert").filter({ hasText: /administrat/ }).waitFor();
    assert.equal(await ana.getByRole("link", { name: "Health" }).count(), 0);
    await ana.getByRole("link", { name: "Connections" }).click();
    await ana.getByRole("heading", { name: "shop" }).waitFor();
    assert.equal(await ana.getByText("Leads to").count(), 0);
    await accessible(ana, "connections of a person");
    await ana.context().close();
  },

  async "a token signs in, and nothing waits"() {
    await signIn(page, "bo", "/reviews");
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

  async "a recorded session is found by keyboard, read moment by moment, and linked to"() {
    const text = `SELECT 'plain' AS "<b>x\u202e" -- <script>alert(5)</script>`;
    const held = psql(text, "SELECT 'and then'", "DELETE FROM signed WHERE id = 77");
    await held.held();
    held.withdraw();
    await held.ends(1, "plain");
    await page.getByRole("link", { name: "Sessions" }).click();
    await h1(page, "Recorded sessions").waitFor();
    await accessible(page, "search");
    await page.keyboard.press("/");
    await page.keyboard.type("script>ALERT(5)");
    await page.keyboard.press("Enter");
    const found = page.locator(".recorded > li");
    await found.filter({ hasText: "found in entry" }).waitFor();
    assert.equal(await found.count(), 1);
    assert.match(page.url(), /\/sessions\?text=script/);
    await accessible(page, "found");
    await shot(page, "console-sessions");
    await h1(page, "Recorded sessions").click();
    await page.keyboard.press("Enter");
    await page.locator("li[aria-current=true]").waitFor();
    const [, id, entry] = /\/sessions\/(ses_\w+)#(\d+)$/.exec(page.url());
    const chosen = page.locator(`#entry-${entry}[aria-current=true]`);
    assert.equal(await chosen.getByRole("region").textContent(), text.replace("\u202e", "U+202E"));
    const sample = page.getByRole("region", { name: "Masked sample" }).first();
    assert.deepEqual(await sample.getByRole("cell").allTextContents(), ["plain"]);
    assert.deepEqual(await sample.getByRole("columnheader").allTextContents(), ["<b>xU+202E"]);
    await page.getByText("by allow-all-for-testing").first().waitFor();
    await accessible(page, "timeline");
    await shot(page, "console-timeline");
    // Step by step, and each step has its address.
    await page.keyboard.press("j");
    await page.waitForURL((url) => url.hash !== `#${entry}`);
    await page.keyboard.press("k");
    await page.waitForURL((url) => url.hash === `#${entry}`);
    // To what was not just let through, and from there on as it went.
    await page.keyboard.press("n");
    const standsOut = page.locator(".moments li[aria-current=true]", { hasText: "held" });
    await standsOut.waitFor();
    await page.keyboard.press("p");
    await standsOut.waitFor();
    await page.getByLabel("Play").selectOption("100");
    await page.locator(".moments li[aria-current=true]", { hasText: "session closed" }).waitFor();
    await page.waitForFunction(() => document.querySelector(".actions select").value === "0");
    const download = page.waitForEvent("download");
    await page.getByRole("button", { name: "Download the recording" }).click();
    const file = await download;
    assert.equal(file.suggestedFilename(), `${id}.jsonl.zst`);
    const kept = execFileSync("zstd", ["--decompress", "--stdout", await file.path()], { encoding: "utf8" });
    assert.ok(kept.startsWith('{"recording":"portcullis-recording/1"'), kept.slice(0, 80));
    await page.getByRole("button", { name: "From the beginning" }).click();
    await page.getByText("session opened").waitFor();
    await page.getByText("session closed").waitFor();
    assert.equal(await page.locator("img, svg, iframe, object, #app script").count(), 0);
    const phone = await open({ viewport: { width: 390, height: 780 } });
    await signIn(phone, "ana", `/sessions/${id}#${entry}`);
    await phone.locator(`#entry-${entry}[aria-current=true]`).waitFor();
    const wide = () => phone.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    assert.ok((await wide()) <= 0, `the timeline is ${await wide()} px too wide for a phone`);
    await accessible(phone, "timeline on a phone");
    await phone.getByText("Who was shown something of it").click();
    await phone.getByText(/bo, file/).waitFor();
    await phone.getByRole("link", { name: "Sessions" }).click();
    await phone.locator(".recorded > li").first().waitFor();
    assert.ok((await wide()) <= 0, `the search is ${await wide()} px too wide for a phone`);
    await phone.context().close();
    const other = await open();
    await signIn(other, "deckard", `/sessions/${id}`);
    await other.getByRole("alert").filter({ hasText: "there is no such session for you" }).waitFor();
    assert.equal(await other.locator(".moments > li").count(), 0);
    await other.context().close();
  },

  async "a session is watched as it happens, paused, and let go on"() {
    const client = psql("SELECT pg_sleep(4)", "SELECT 'after <the> pause'", "SELECT pg_sleep(1)");
    await page.getByRole("link", { name: "Live" }).click();
    await page.getByText("SELECT pg_sleep(4)").waitFor();
    await page.keyboard.press("w");
    await h1(page, /^Watching ses_/).waitFor();
    await page.getByRole("region", { name: /^Statement 1/ }).filter({ hasText: "pg_sleep(4)" }).waitFor();
    await page.getByRole("region", { name: "About this session" }).waitFor();
    await page.keyboard.press("p");
    await page.getByRole("textbox", { name: "Why" }).fill("look <b>first</b>");
    await accessible(page, "pause");
    await page.keyboard.press("Enter");
    await page.getByText("look <b>first</b>").first().waitFor();
    await page.locator(".state-paused").waitFor();
    await accessible(page, "watch");
    await shot(page, "console-watch");
    assert.ok(client.said.includes("has paused this session") && !client.said.includes("after <the>"), client.said);
    await page.keyboard.press("p");
    await page.getByRole("dialog", { name: "Let this session go on" }).waitFor();
    await page.getByRole("button", { name: "Resume", exact: true }).click();
    await page.getByRole("region", { name: "Masked sample" }).filter({ hasText: "after <the> pause" }).waitFor();
    await client.ends(0, "after <the> pause");
    await page.getByText("There is no more to watch.").waitFor();
    await page.getByText("session closed").waitFor();
  },

  async "access is asked for, granted by keyboard, used and ended"() {
    const vault = { PGDATABASE: "vault" };
    await psqlAs(vault, "SELECT 1").ends(2, "portcullis request --connection vault --for 30m");
    const ask = async (reason) => {
      const headers = { Authorization: `Bearer ${tokens.claude}`, "Content-Type": "application/json" };
      const body = JSON.stringify({ connection: "vault", seconds: 600, reason });
      const response = await fetch(`${base}/api/v1/grants`, { method: "POST", headers, body });
      assert.equal(response.status, 201);
      return (await response.json()).id;
    };
    await page.getByRole("link", { name: /^Access/ }).click();
    await h1(page, "Access").waitFor();
    await page.getByText("Nobody asks you for access.").waitFor();
    await accessible(page, "no access");
    const [unwanted, wanted] = [await ask("curious <script>alert(6)</script>"), await ask("INC-7 <img src=x onerror=alert(5)>")];
    await page.locator(`#${wanted}`).waitFor();
    assert.match(await page.getByRole("link", { name: /^Access/ }).textContent(), /Access2/);
    for (const part of ["claude agent for ana", "10 min", "waits for one person of dba", "INC-7 <img src=x onerror=alert(5)>"]) {
      await page.getByText(part).first().waitFor();
    }
    assert.equal(await page.locator("img, svg, iframe, object, #app script").count(), 0);
    await accessible(page, "access");
    await shot(page, "console-access");
    // As by the link of a message.
    await page.goto(`${base}/access#${wanted}`);
    await page.locator(`#${wanted}.chosen`).waitFor();
    await page.keyboard.press("k");
    await page.keyboard.press("r");
    await page.getByRole("textbox", { name: "Why" }).fill("no incident <i>");
    await accessible(page, "reject access");
    await page.keyboard.press("Enter");
    await page.locator(`#${unwanted}`).waitFor({ state: "detached" });
    await psqlAs(vault, "SELECT 1").ends(2, wanted);
    await page.keyboard.press("j");
    await page.keyboard.press("a");
    await page.getByRole("dialog", { name: "Grant access" }).waitFor();
    await page.getByText("Its time begins now.").waitFor();
    await accessible(page, "grant access");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.getByText("approved by bo").waitFor();
    await accessible(page, "access in force");
    const client = psqlAs(vault, "SELECT pg_sleep(60)");
    await page.getByRole("link", { name: "Live" }).click();
    await page.getByText("SELECT pg_sleep(60)").waitFor();
    await page.getByRole("link", { name: /^Access/ }).click();
    await page.getByText("approved by bo").waitFor();
    await page.keyboard.press("j");
    await page.keyboard.press("x");
    await page.getByRole("dialog", { name: "End this access" }).waitFor();
    await page.getByRole("textbox", { name: "Why" }).fill("that is <b>enough</b>");
    await page.keyboard.press("Enter");
    await client.ends(2, "that is <b>enough</b>");
    await page.getByText("Nothing that concerns you is granted now.").waitFor();
    await page.goto(`${base}/access#${wanted}`);
    await page.getByText("What the link leads to is over, or does not concern you.").waitFor();
    await accessible(page, "a link to access that is over");
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
        if (Object.keys(told).length === 4) break;
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
      for (const kind of ["reviews", "sessions", "grants", "freezes"]) {
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

  async "a policy is written, shows what is wrong at its line, is tried on what was recorded, and applied"() {
    await (await psql("SELECT count(*) FROM signed")).ends(0, "");
    const admin = await open();
    await signIn(admin, "bo", "/policies");
    await admin.getByText("There are no documents yet.").waitFor();
    await admin.getByRole("button", { name: "New policy" }).click();
    await admin.getByLabel("Name").fill("no-signed");
    const text = admin.getByRole("textbox", { name: "Text" });
    const rule = (word) => `@id("no-signed")\n@reason("nobody reads these")\n${word} (principal is Agent, action == Action::"read", resource is Relation)\nwhen { resource.name == "signed" };\n`;
    await text.fill(rule("forbidd"));
    await admin.getByText(/policies\/no-signed\.cedar:3/).waitFor();
    assert.ok(await admin.getByRole("button", { name: "Apply…" }).isDisabled());
    await admin.getByRole("button", { name: "To line 3" }).click();
    const chosen = await text.evaluate((field) => field.value.slice(field.selectionStart, field.selectionEnd));
    assert.match(chosen, /^forbidd /);
    await text.fill(rule("forbid").replace("nobody", "\u202enobody"));
    await admin.getByText("characters in it that cannot be seen: U+202E").waitFor();
    await text.fill(rule("forbid"));
    await admin.getByText("It is good: it would create one document.").waitFor();
    assert.ok((await admin.locator(".editor .sql-word").allInnerTexts()).includes("forbid"), "it is coloured");
    await admin.getByRole("button", { name: "Try" }).click();
    await admin.getByText("allow → refuse").waitFor();
    await admin.getByText("SELECT count(*) FROM signed").first().waitFor();
    await accessible(admin, "policies");
    await admin.setViewportSize({ width: 390, height: 800 });
    assert.ok(await admin.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "it fits a phone");
    await admin.setViewportSize({ width: 1280, height: 860 });
    await admin.getByRole("button", { name: "Apply…" }).click();
    await admin.getByRole("dialog").getByRole("button", { name: "Apply" }).click();
    await admin.getByText("Documents 1 are in force.").waitFor();
    await (await psql("SELECT count(*) FROM signed")).ends(1, "nobody reads these");
    await admin.getByText(/Documents 1: changed/).waitFor();
    await accessible(admin, "a policy in force");
    await explained(await admin.context().newPage());
    // What was changed meanwhile is not written over.
    await text.fill(`// mine\n${rule("forbid")}`);
    await admin.getByText("it would change one document").waitFor();
    const headers = { Authorization: `Bearer ${tokens.bo}`, "Content-Type": "application/json" };
    const body = JSON.stringify({ documents: [], prune: true, revision: 1 });
    const removed = await fetch(`${base}/api/v1/documents/apply`, { method: "POST", headers, body });
    assert.equal(removed.status, 200, await removed.text());
    await admin.getByRole("button", { name: "Apply…" }).click();
    await admin.getByRole("dialog").getByRole("button", { name: "Apply" }).click();
    await admin.getByRole("dialog").getByRole("alert").filter({ hasText: /changed/ }).waitFor();
    await admin.context().close();
    await (await psql("SELECT count(*) FROM signed")).ends(0, "");
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

await run(steps, () => [page]);
