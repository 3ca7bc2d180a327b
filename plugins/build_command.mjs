// The command of the builds of plugins in JavaScript: node build.mjs PLUGIN.js -o PLUGIN.wasm

import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";

/** Write the component that `componentized` makes of a path; exit with status 1 if it fails, 2 for wrong arguments. */
export async function buildCommand(componentized) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { output: { type: "string", short: "o" } },
  });
  if (positionals.length !== 1 || !values.output) {
    console.error("Usage: node build.mjs PLUGIN.js -o PLUGIN.wasm");
    process.exit(2);
  }
  try {
    await writeFile(values.output, await componentized(positionals[0]));
  } catch (error) {
    console.error(`${positionals[0]} could not be built: ${error.message}`);
    process.exit(1);
  }
}
