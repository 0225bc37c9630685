// Builds the console into dist/: one document, one script, one style sheet, one picture, the last three named by the
// digest of what is in them. With --tests: bundles the unit tests into .test/ for `node --test`.
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";

const common = { bundle: true, legalComments: "none", logLevel: "warning", jsx: "automatic", jsxImportSource: "preact" };

if (process.argv.includes("--tests")) {
  rmSync(".test", { recursive: true, force: true });
  const entryPoints = readdirSync("test").map((name) => `test/${name}`);
  await build({ ...common, entryPoints, outdir: ".test", platform: "node", format: "esm", outExtension: { ".js": ".mjs" } });
} else {
  const { outputFiles } = await build({
    ...common, entryPoints: ["src/main.tsx", "src/style.css"], outdir: "dist", write: false, minify: true,
    format: "iife", target: ["es2022"],
  });
  const files = { "icon.svg": readFileSync("src/icon.svg") };
  for (const file of outputFiles) files[file.path.endsWith(".css") ? "style.css" : "app.js"] = file.contents;
  mkdirSync("dist", { recursive: true });
  for (const name of readdirSync("dist")) if (!name.startsWith(".")) rmSync(`dist/${name}`);
  let page = readFileSync("src/index.html", "utf8");
  let total = 0;
  for (const [name, contents] of Object.entries(files)) {
    const digest = createHash("sha256").update(contents).digest("hex").slice(0, 12);
    const hashed = name.replace(".", `-${digest}.`);
    page = page.replaceAll(`/assets/${name}`, `/assets/${hashed}`);
    writeFileSync(`dist/${hashed}`, contents);
    total += contents.length;
  }
  writeFileSync("dist/index.html", page);
  console.log(`console: ${Math.round((total + page.length) / 1024)} KiB in ${Object.keys(files).length + 1} files`);
}
