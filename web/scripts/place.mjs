// Puts what was compiled where the Python package keeps it, beside the page's HTML, CSS and icons; with --check, says
// whether it is there already.

import { cpSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL("..", import.meta.url));
const target = join(here, "../src/shortlist/export/web/compiled");

/** Paths of all files in a folder. */
const filesOf = (folder) =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((each) => each.isFile())
        .map((each) => relative(folder, join(each.parentPath ?? each.path, each.name)))
        .sort()
    : [];

const folder = mkdtempSync(join(tmpdir(), "shortlist-web-"));
try {
  cpSync(join(here, "build/app"), join(folder, "app"), { recursive: true });
  cpSync(join(here, "build/device"), join(folder, "device"), { recursive: true });
  cpSync(join(here, "build/worker/sw.js"), join(folder, "sw.js"));
  if (process.argv.includes("--check")) {
    const names = new Set([...filesOf(folder), ...filesOf(target)]);
    const read = (place, name) => (existsSync(join(place, name)) ? readFileSync(join(place, name)).toString("latin1") : null);
    const stale = [...names].filter((name) => read(folder, name) !== read(target, name));
    if (stale.length) {
      console.error(`not as web/ builds them: ${stale.join(", ")}; run npm run build in web/`);
      process.exitCode = 1;
    }
  } else {
    rmSync(target, { recursive: true, force: true });
    cpSync(folder, target, { recursive: true });
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
