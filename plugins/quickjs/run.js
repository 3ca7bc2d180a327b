// Runs the `onMessage` of a plugin in QuickJS. build.mjs puts this module around every plugin.
//
// The build loads the plugin and saves the memory of QuickJS, and each run begins with that memory. Without this module
// three things would be wrong. The state of Math.random() would be a part of the saved memory, so every run would draw
// the same numbers. performance.now() would count from the build. QuickJS calls no reaction to a promise after
// `onMessage` has returned, so work after an `await` would be lost without an error.

import { getRandomU64 } from "wasi:random/random@0.2.12";

const clock = globalThis.performance;
const then = Promise.prototype.then;

/** The start of the run, as `clock` and as Date.now() show it; undefined while the build loads the plugin. */
let started;
let startedAt;
/** True if the run has work that waits for a promise. */
let waits = false;

/** Numbers from the seed of the run, through WASI. */
Math.random = () => {
  if (started === undefined) {
    throw new Error(
      "Math.random() was called while the build loaded the plugin. The number would be the same in every run. " +
        "Call Math.random() in onMessage, or in a function that onMessage calls.",
    );
  }
  // QuickJS rounds the 64 bits to 53, and so the quotient may be 1.
  const random = getRandomU64() / 2 ** 64;
  return random < 1 ? random : 0;
};

/** Milliseconds since the start of the run. The clock stands at 0 while the build loads the plugin. */
globalThis.performance = {
  now: () => (started === undefined ? 0 : clock.now() - started),
  get timeOrigin() {
    return startedAt ?? Date.now();
  },
};

// build.mjs turns `async` functions into generators that call then() for each `await`.
Promise.prototype.then = function (...reactions) {
  waits = true;
  return then.apply(this, reactions);
};

globalThis.queueMicrotask = ((queue) => (work) => {
  waits = true;
  queue(work);
})(globalThis.queueMicrotask);

/** The function that the host calls: it runs `onMessage`, and fails if work is left that would never be done. */
export const running = (onMessage) => (json) => {
  started = clock.now();
  startedAt = Date.now();
  waits = false;
  const returned = onMessage(json);
  if (typeof returned?.next === "function") {
    throw new Error(
      "onMessage is a generator function: it returned before any of its work was done. Write it without the asterisk.",
    );
  }
  if (waits || typeof returned?.then === "function") {
    throw new Error(
      "onMessage used a promise. In QuickJS a run ends when onMessage returns, and work that waits for a promise is " +
        "never done. Write the plugin without async, await and then(): all functions of guildhook return at once.",
    );
  }
};
