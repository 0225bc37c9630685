// Passkeys in a real browser, by Chromium's own virtual authenticator: registering one, approving a held DELETE with it
// by keyboard, and what is refused. Started by tests/e2e/tests/passkeys.rs, which says in the environment where
// everything is: URL, what stage.mjs wants, and COOKIE (of somebody who has signed in).
import assert from "node:assert/strict";
import { accessible, alarms, base, browser, open, press, psql, running } from "./stage.mjs";

const { COOKIE } = process.env;

async function fits(page, what) {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(wide <= 0, `${what} is ${wide} px wider than a phone`);
}

try {
  const page = await open({ viewport: { width: 375, height: 740 } });
  const context = page.context();
  await context.addCookies([{ name: "portcullis", value: COOKIE, url: base, httpOnly: true, sameSite: "Lax" }]);
  const cdp = await context.newCDPSession(page);
  await cdp.send("WebAuthn.enable");
  const options = {
    protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true,
    isUserVerified: true, automaticPresenceSimulation: true,
  };
  const { authenticatorId } = await cdp.send("WebAuthn.addVirtualAuthenticator", { options });
  const verified = (isUserVerified) => cdp.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified });
  const h1 = (name) => page.getByRole("heading", { level: 1, name });
  const arrive = async (id) => {
    await page.goto(`${base}/reviews/${id}`);
    await page.getByRole("region", { name: "Statement" }).waitFor();
  };
  const confirm = page.getByRole("button", { name: "Approve with a passkey" });
  const question = page.getByRole("dialog", { name: "Approve once" });
  const asked = () => press(page, "a", question);
  const told = (text) => page.getByRole("dialog").getByRole("alert").filter({ hasText: text });

  console.log("without one, the page says where one is registered");
  const first = psql("DELETE FROM orders WHERE id = 11");
  const review = await first.held();
  await arrive(review);
  await asked();
  await confirm.click();
  await told("you have none: register one").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "hidden" });

  console.log("one is registered");
  await page.getByRole("link", { name: /Passkeys of/ }).click();
  await h1("Passkeys").waitFor();
  await page.getByText("There are none.").waitFor();
  // What vouches for a first one, which is not that somebody is signed in.
  const again = page.getByRole("link", { name: "Sign in again, and register" });
  assert.equal(await again.getAttribute("href"), "/auth/login?anew=true&return_to=%2Fpasskeys%3Ffirst");
  assert.equal(await page.getByRole("button", { name: "Register a passkey" }).count(), 0);
  await accessible(page, "no passkeys");
  // This session began with such a sign-in, and this is where it would have led.
  await page.goto(`${base}/passkeys?first`);
  await page.getByRole("button", { name: "Register a passkey" }).click();
  await page.getByRole("textbox", { name: "Name" }).fill("my laptop");
  await accessible(page, "registering");
  await verified(false);
  await page.keyboard.press("Enter");
  await told("cannot verify who uses it").waitFor();
  await verified(true);
  await page.getByRole("button", { name: "Register it" }).click();
  await page.getByRole("listitem").filter({ hasText: "my laptop" }).waitFor();
  await accessible(page, "passkeys");
  await fits(page, "Passkeys");

  console.log("who is not verified approves nothing");
  await arrive(review);
  await verified(false);
  await asked();
  await accessible(page, "approve");
  await fits(page, "the question");
  await confirm.click();
  await told("cannot verify who uses it").waitFor();
  assert.equal(running.size, 1, "nothing ran");
  await verified(true);
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "hidden" });

  console.log("what was signed for another review approves nothing");
  const second = psql("DELETE FROM orders WHERE id = 12");
  const other = await second.held();
  const swap = `**/api/v1/reviews/${review}/challenge`;
  await page.route(swap, (route) => route.continue({ url: `${base}/api/v1/reviews/${other}/challenge` }));
  await asked();
  await confirm.click();
  await told("not what there is to decide").waitFor();
  assert.equal(running.size, 2, "nothing ran");
  await page.unroute(swap);
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "hidden" });

  console.log("by keyboard, with the passkey, it runs");
  await asked();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  assert.equal(await first.end, 0, first.said);
  assert.ok(first.said.includes("DELETE 1"), first.said);
  await page.getByText("approved, and it has run").waitFor();

  console.log("nobody removes their own");
  await page.goto(`${base}/passkeys`);
  await page.getByText(/^key_/).waitFor();
  assert.equal(await page.getByRole("button", { name: /^Remove/ }).count(), 0);
  assert.equal(running.size, 1, "nothing ran");
  assert.deepEqual(alarms, []);
} finally {
  for (const child of running) child.kill();
  await browser.close();
}
