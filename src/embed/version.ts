/** What this build is. `test/arch/version.test.ts` keeps it equal to package.json. */

/** Semantic version, without a `v`. */
export const VERSION = "0.1.0";

declare const HEADGATE_COMMIT: string | undefined;
declare const HEADGATE_TARGET: string | undefined;

/** The commit it was built from; the build defines it, a run from source does not know it. */
export const COMMIT: string = typeof HEADGATE_COMMIT === "string" ? HEADGATE_COMMIT : "source";

/** The platform it was compiled for, such as `linux-x64-musl`; undefined: it runs from source. */
export const TARGET: string | undefined =
  typeof HEADGATE_TARGET === "string" ? HEADGATE_TARGET : undefined;
