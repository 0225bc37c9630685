// The whole story in one run, in two real browsers with two real identity providers: a reviewer who signs in by OpenID
// Connect approves what an agent's psql waits for, replays it; an administrator who signs in by SAML changes a policy,
// and ends the agent; whom the agent acts for takes its credential back. Started by tests/e2e/tests/story.rs, which says
// in the environment where everything is: what stage.mjs wants, and OIDC and SAML (origins of the providers), CREDENTIAL
// (the agent's own), ANA (token of whom it acts for).
import assert from "node:assert/strict";
import { accessible, arrived, base, h1, open, press, psql, psqlAs, run, running, shot } from "./stage.mjs";

const { OIDC, SAML, CREDENTIAL, ANA } = process.env;
const DELETE = "DELETE FROM orders WHERE status = 'test' AND id > 800";
const READ = "SELECT count(*) FROM customers";
/** Would take hours. */
const LONG = "SELECT count(*) FROM orders a, orders b, orders c, orders d";
const rule = (word, verb) => `@id("people-stay")\n@reason("${word}")\nforbid (principal is Agent, action == Action::"${verb}", resource is Relation)\nwhen { resource.name == "customers" };\n`;
/** Longer than DESIGN has it (one second): this machine may have other things to do. The time is told. */
const SHOWN_WITHIN = 5_000;

let reviewer;
let admin;
let review;

const go = (page, name) => page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name }).click();
const me = (page) => page.evaluate(async () => (await fetch("/api/v1/me")).json());

const steps = {
  async "a reviewer signs in at an OpenID provider"() {
    reviewer = await open({ elsewhere: [OIDC] });
    // When each review was first to be seen, by the page's own clock, whatever polls it later.
    await reviewer.context().addInitScript(() => {
      window.seen = {};
      const look = () => {
        for (const row of document.querySelectorAll("li[id^=rev_]")) {
          if (row.checkVisibility() && row.getBoundingClientRect().height > 0) window.seen[row.id] ??= Date.now();
        }
      };
      new MutationObserver(look).observe(document, { childList: true, subtree: true });
    });
    // By the link of a message, which is what is shown after it.
    await reviewer.goto(`${base}/access#grt_0000000000001`);
    await reviewer.getByRole("link", { name: "Sign in with corp", exact: true }).click();
    await reviewer.waitForURL((url) => url.origin === OIDC);
    await reviewer.locator("input[name=login]").fill("bea.dba.auditors");
    await reviewer.locator("input[name=password]").fill("any");
    await reviewer.getByRole("button", { name: "Sign-in" }).click();
    await reviewer.getByRole("button", { name: "Continue" }).click();
    await reviewer.getByText("What the link leads to is over, or does not concern you.").waitFor();
    await reviewer.goto(`${base}/reviews`);
    await reviewer.getByText("Nothing waits for you.").waitFor();
    const { issuer, subject, rights } = await me(reviewer);
    assert.deepEqual([issuer, subject, rights], [OIDC, "bea.dba.auditors", ["reviewer"]]);
    assert.equal(await reviewer.getByRole("link", { name: "Policies" }).count(), 0, "a reviewer changes no policy");
  },

  async "an administrator signs in at a SAML provider"() {
    admin = await open({ elsewhere: [SAML] });
    await admin.goto(`${base}/policies`);
    await admin.getByRole("link", { name: "Sign in with partner", exact: true }).click();
    await admin.waitForURL((url) => url.origin === SAML);
    await admin.locator("input[name=login]").fill("ada.admins");
    await admin.getByRole("button").click();
    await admin.locator("input[name=SAMLResponse]").waitFor({ state: "attached" });
    await admin.getByRole("button").click();
    await h1(admin, "Policies").waitFor();
    const { issuer, subject, groups } = await me(admin);
    assert.deepEqual([issuer, subject, groups], [`${SAML}/metadata`, "u-ada", ["admins"]]);
  },

  async "a DELETE of the agent's is held, and the reviewer sees it"() {
    review = { client: psql(READ, DELETE) };
    review.id = await review.client.held();
    await reviewer.locator(`#${review.id}`).waitFor();
    const seen = await reviewer.evaluate((id) => window.seen[id], review.id);
    const { ask } = await (await reviewer.request.get(`${base}/api/v1/reviews/${review.id}`)).json();
    const took = seen - Math.floor(ask.at / 1000);
    console.log(`   on the reviewer's page ${took} ms after it was held`);
    assert.ok(took >= 0 && took < SHOWN_WITHIN, `shown after ${took} ms`);
    assert.equal(running.size, 1, "psql waits");
    await reviewer.locator(`#${review.id}`).filter({ hasText: DELETE }).waitFor();
  },

  async "it is approved by keyboard, and psql says how many rows it was"() {
    await reviewer.keyboard.press("j");
    await reviewer.keyboard.press("Enter");
    await arrived(reviewer, review.id);
    assert.equal(await reviewer.getByRole("region", { name: "Statement" }).textContent(), DELETE);
    const question = reviewer.getByRole("dialog", { name: "Approve once" });
    await press(reviewer, "a", question);
    assert.equal(running.size, 1, "nothing runs before it is confirmed");
    await reviewer.keyboard.press("Tab");
    await reviewer.keyboard.press("Enter");
    await review.client.ends(0, "DELETE 40\n");
    await reviewer.getByText("approved, and it has run").waitFor();
  },

  async "it is replayed, at an address of its own"() {
    await go(reviewer, "Sessions");
    await h1(reviewer, "Recorded sessions").waitFor();
    await press(reviewer, "/", reviewer.locator("input:focus"));
    await reviewer.keyboard.type("status = 'test'");
    await reviewer.keyboard.press("Enter");
    const found = reviewer.locator(".recorded > li");
    await found.filter({ hasText: "found in entry" }).waitFor();
    assert.equal(await found.count(), 1);
    await h1(reviewer, "Recorded sessions").click();
    await press(reviewer, "Enter", reviewer.locator("li[aria-current=true]"));
    await reviewer.waitForURL(/\/sessions\/ses_\w+#\d+$/);
    const address = reviewer.url();
    await reviewer.goto(`${base}/reviews`);
    await reviewer.goto(address);
    const moment = reviewer.locator(`#entry-${address.split("#")[1]}[aria-current=true]`);
    await moment.getByText(DELETE).waitFor();
    await reviewer.getByRole("button", { name: "From the beginning" }).click();
    for (const what of ["approved", "bea.dba.auditors", "DELETE 40"]) {
      await reviewer.locator(".moments").getByText(what).first().waitFor();
    }
  },

  async "a policy is edited, tried on what was recorded, and applied"() {
    await admin.getByRole("button", { name: "policy/people-stay" }).click();
    const text = admin.getByRole("textbox", { name: "Text" });
    assert.equal(await text.inputValue(), rule("nobody is deleted", "delete"));
    await text.fill(rule("nobody is read", "read"));
    await admin.getByText("It is good: it would change one document.").waitFor();
    await admin.getByRole("button", { name: "Try" }).click();
    await admin.getByText("allow → refuse").waitFor();
    await admin.getByText("1 of 2 requests in 1 sessions would have another verdict, or other masks.").waitFor();
    await admin.getByText(READ).first().waitFor();
    await accessible(admin, "policies");
    await admin.setViewportSize({ width: 1280, height: 1160 });
    await shot(admin, "console-policies");
    await admin.setViewportSize({ width: 1280, height: 860 });
    // A dry run is none that changes anything.
    await psql(READ).ends(0, "200");
    await admin.getByRole("button", { name: "Apply…" }).click();
    await admin.getByRole("dialog").getByRole("button", { name: "Apply" }).click();
    await admin.getByText("Documents 2 are in force.").waitFor();
    await psql(READ).ends(1, "nobody is read");
  },

  async "the administrator ends the agent's session, and psql says why"() {
    const client = psql(LONG);
    await go(admin, "Live");
    await admin.getByText(LONG).first().waitFor();
    await press(admin, "x", admin.getByRole("dialog", { name: "End this session" }));
    await admin.getByRole("textbox", { name: "Why" }).fill("it sleeps too long");
    await admin.keyboard.press("Enter");
    await client.ends(2, "it sleeps too long");
    await admin.getByText("Nobody is connected").waitFor();
  },

  async "whom it acts for revokes the agent, its session ends, and it does not come back"() {
    const agent = { PGPASSWORD: CREDENTIAL };
    const client = psqlAs(agent, LONG);
    const ana = await open();
    await ana.goto(`${base}/credentials`);
    await ana.getByText("Use a token").click();
    await ana.getByLabel("Token of your identity provider").fill(ANA);
    await ana.keyboard.press("Enter");
    await ana.getByText("for the night's work").waitFor();
    await admin.getByText(LONG).first().waitFor();
    assert.equal(running.size, 1, "psql goes on");
    await ana.getByRole("button", { name: /^Revoke / }).click();
    await ana.getByRole("button", { name: "Revoke it" }).click();
    await client.ends(2, "revoked");
    await admin.getByText("Nobody is connected").waitFor();
    await psqlAs(agent, "SELECT 1").ends(2, "revoked");
    await ana.context().close();
  },
};

await run(steps, () => [reviewer, admin]);
