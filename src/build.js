/**
 * Bundles src/ for dist/: each entry point a file at its own place, what they share in dist/chunks/. A process or a page that
 * starts has some ten files to find and read instead of some hundred and fifty, which is most of what starting takes.
 *
 *   node src/build.js
 *
 * Packages stay imports. `new URL("../...", import.meta.url)` is right in sources and chunks alike since both lie one folder deep, which
 * is checked. A file whose contents have not changed is not written again, so that a build disturbs nothing that runs.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));
const dist = join(root, "dist");
const chunks = join(dist, "chunks");

const { outputFiles } = await build({
  absWorkingDir: root,
  entryPoints: ["index", "server", "cli/main", "engine/team-worker", "engine/team-worker-node"].map((name) => `src/${name}.ts`),
  outbase: "src",
  outdir: "dist",
  chunkNames: "chunks/[name]-[hash]",
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "neutral",
  packages: "external",
  target: "es2022",
  sourcemap: true,
  write: false,
});

for (const { path, text } of outputFiles)
  if (path.endsWith(".js") && text.includes("import.meta.url") && dirname(dirname(path)) !== dist)
    throw new Error(`${relative(root, path)} uses import.meta.url and does not lie one folder deep`);

for (const { path, contents } of outputFiles) {
  if (contentsOf(path)?.equals(contents)) continue;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, contents);
}
const current = new Set(outputFiles.map(({ path }) => path));
for (const name of readdirSync(chunks)) if (!current.has(join(chunks, name))) rmSync(join(chunks, name));

function contentsOf(path) {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}
