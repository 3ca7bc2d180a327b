// Builds a plugin from JavaScript, with SpiderMonkey: node build.mjs PLUGIN.js -o PLUGIN.wasm

import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { componentize } from "@bytecodealliance/componentize-js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { output: { type: "string", short: "o" } },
});
if (positionals.length !== 1 || !values.output) {
  console.error("Usage: node build.mjs PLUGIN.js -o PLUGIN.wasm");
  process.exit(2);
}
try {
  const { component } = await componentize({
    sourcePath: positionals[0],
    witPath: fileURLToPath(new URL("../../wit", import.meta.url)),
    worldName: "plugin",
    // Plugins have no HTTP.
    disableFeatures: ["http", "fetch-event"],
  });
  await writeFile(values.output, component);
} catch (error) {
  console.error(`${positionals[0]} could not be built: ${error.message}`);
  process.exit(1);
}
