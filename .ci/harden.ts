/**
 * Takes the runtime's own environment variables out of it. Whoever sets `BUN_OPTIONS` could run code in the process,
 * and no flag of the build turns that off; so the names are changed in a copy of the runtime, before the program is
 * compiled into it. The program's own text is never touched.
 *
 * The first letter becomes a NUL, which no environment variable's name can have. On Linux the process also loses the
 * variables themselves, before the runtime starts: see `scrub.ts`.
 */
import { scrubEnvironment } from "./scrub.ts";

/** Each one starts something that headgate's user did not ask for. A prefix stands for all names that begin with it. */
export const BACK_DOORS: readonly string[] = [
  "BUN_BE_BUN", // the whole runtime in the program's place
  "BUN_OPTIONS", // --preload: any file as code
  "BUN_INSPECT", // a debugger that listens, or calls somebody
  "BUN_JSC_", // the engine's switches
  "BUN_BYTECODE_ORDER", // writes files
  "BUN_BYTECODE_DIGEST_OUT",
  "BUN_RUNTIME_TRANSPILER_CACHE_PATH", // code from a cache
  "BUN_CRASH_REPORT_URL", // a crash starts `curl`, found by PATH
  "BUN_ENABLE_CRASH_REPORTING",
  "BUN_COMPILE_TARGET_TARBALL_URL",
];

/**
 * Changes the runtime in place.
 *
 * @throws {Error} when a name is not found: a new runtime may have renamed it, and nothing would be taken out.
 */
export function harden(runtime: Buffer): void {
  for (const name of BACK_DOORS) {
    const places = placesOf(runtime, name);
    if (places.length === 0) {
      throw new Error(
        `Cannot harden the runtime: it has no ${name}; has a new version renamed it?`,
      );
    }
    for (const place of places) runtime[place] = 0;
  }
  scrubEnvironment(runtime);
}

function placesOf(runtime: Buffer, name: string): readonly number[] {
  const places: number[] = [];
  for (let at = runtime.indexOf(name); at !== -1; at = runtime.indexOf(name, at + 1)) {
    places.push(at);
  }
  return places;
}
