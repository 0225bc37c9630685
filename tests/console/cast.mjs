// A session as asciicast plays in asciinema's own player, in a real Chromium: text, size, and markers. CAST is the file.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] });
const page = await browser.newPage();
const wrong = [];
page.on("pageerror", (error) => wrong.push(error.stack));
const player = join(dirname(fileURLToPath(import.meta.url)), "node_modules/asciinema-player/dist/bundle");
await page.setContent("<div id=player></div>");
await page.addStyleTag({ path: join(player, "asciinema-player.css") });
await page.addScriptTag({ path: join(player, "asciinema-player.js") });
const played = await page.evaluate(async (data) => {
  const markers = [];
  const player = window.AsciinemaPlayer.create({ data }, document.getElementById("player"), { speed: 20, fit: false });
  player.addEventListener("marker", ({ label }) => markers.push(label));
  const ended = new Promise((resolve) => player.addEventListener("ended", resolve));
  await player.play();
  await ended;
  return { markers, length: await player.getDuration() };
}, readFileSync(process.env.CAST, "utf8"));
// It is drawn with the next frame.
const drawn = await page.waitForFunction(() => {
  const text = [...document.querySelectorAll(".ap-line")].map((line) => line.textContent.trimEnd()).join("\n");
  return text.includes("closed") && text;
}, undefined, { timeout: 20_000 });
played.text = await drawn.jsonValue();
await browser.close();
assert.deepEqual(wrong, []);
console.log(JSON.stringify(played));
