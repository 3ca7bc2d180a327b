// Builds a plugin from JavaScript, with SpiderMonkey: node build.mjs PLUGIN.js -o PLUGIN.wasm

import { fileURLToPath } from "node:url";
import { componentize } from "@bytecodealliance/componentize-js";
import { buildCommand } from "../build_command.mjs";

await buildCommand(async (path) => {
  const { component } = await componentize({
    sourcePath: path,
    witPath: fileURLToPath(new URL("../../wit", import.meta.url)),
    worldName: "plugin",
    // Plugins have no HTTP.
    disableFeatures: ["http", "fetch-event"],
  });
  return component;
});
