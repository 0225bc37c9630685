// Signing in by SAML in a real browser: the provider's pages are of another site than the gateway's, so no cookie
// comes with what they post. Started by tests/e2e/tests/saml.rs, which says in the environment where everything is.
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const { URL: gateway, IDP: idp, CHROMIUM } = process.env;
const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
try {
  const context = await browser.newContext();
  context.setDefaultTimeout(15_000);
  const page = await context.newPage();
  const posted = [];
  page.on("request", (request) => request.url().endsWith("/auth/saml/acs") && posted.push(request));
  const me = async () => JSON.parse(await (await page.goto(`${gateway}/api/v1/me`)).text());

  // Begun here: to the provider, and back.
  await page.goto(`${gateway}/auth/login?provider=corp&return_to=/healthz`);
  assert.equal(new URL(page.url()).hostname, "localhost");
  await page.locator("input[name=login]").fill("ana.dba");
  await page.getByRole("button").click();
  await page.getByRole("button").click();
  await page.waitForURL(`${gateway}/healthz`);
  assert.equal((await me()).subject, "u-ana");
  assert.equal((await posted[0].allHeaders()).cookie, undefined, "a cookie of the gateway came from another site");

  // Begun there, by somebody else than who is signed in: nothing happens before a person says so.
  await page.goto(`${idp}/unsolicited?login=eve&RelayState=/healthz`);
  await page.getByRole("button").click();
  await page.getByRole("heading", { name: "Sign in to Portcullis?" }).waitFor();
  assert.match(await page.locator("p").first().innerText(), /as Eve \(u-eve\)/);
  const asked = page.url();
  assert.equal((await me()).subject, "u-ana");
  // What was shown once is used up; the button of its page goes on, and ends the session that was there.
  assert.equal((await page.goto(asked)).status(), 400);
  await page.goto(`${idp}/unsolicited?login=eve&RelayState=/healthz`);
  await page.getByRole("button").click();
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL(`${gateway}/healthz`);
  assert.equal((await me()).subject, "u-eve");
} finally {
  await browser.close();
}
