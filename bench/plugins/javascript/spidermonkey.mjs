// Usage: spidermonkey.mjs SOURCE WIT OUT. The command line of jco does the same through a path of its own.
import { writeFile } from "node:fs/promises";
import { componentize } from "@bytecodealliance/componentize-js";

const [source, witPath, out] = process.argv.slice(2);
const { component } = await componentize({
  sourcePath: source,
  witPath,
  worldName: "plugin",
  disableFeatures: ["stdio", "random", "clocks", "http", "fetch-event"],
});
await writeFile(out, component);
