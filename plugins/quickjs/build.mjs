// Builds a plugin from JavaScript or TypeScript: node build.mjs PLUGIN.js -o PLUGIN.wasm
//
// The module and everything that it imports become one module, with run.js around it, which componentize-qjs puts into
// a component together with QuickJS.

import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { componentize } from "componentize-qjs";
import { rolldown } from "rolldown";
import { buildCommand } from "../build_command.mjs";

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const AROUND = "\0around-the-plugin";

/** The source of a module that exports the `onMessage` of `plugin`, a path, with run.js around it. */
async function bundled(plugin) {
  const bundle = await rolldown({
    input: AROUND,
    platform: "neutral",
    // The host provides these modules.
    external: [/^guildhook:/, /^wasi:/],
    // The last version of JavaScript without `async`: run.js needs to see every `await`.
    transform: { target: "es2016" },
    // "neutral" reads no field of a package.json; most packages name their module in one of these.
    resolve: { mainFields: ["module", "main"] },
    plugins: [
      {
        name: "run",
        resolveId: (id) => (id === AROUND ? id : null),
        load: (id) =>
          id === AROUND
            ? `import { running } from ${JSON.stringify(here("run.js"))};
               import { onMessage as plugin } from ${JSON.stringify(plugin)};
               export const onMessage = running(plugin);`
            : null,
      },
    ],
  });
  const { output } = await bundle.generate({ format: "esm", codeSplitting: false });
  await bundle.close();
  return output[0].code;
}

await buildCommand(async (path) => {
  const { component } = await componentize({
    witPath: here("wit"),
    world: "plugin",
    jsSource: await bundled(resolve(path)),
    // Without the component model's own async calls, which guildhook does not have.
    sync: true,
  });
  return component;
});
