/** What runs this. */

/** Elsewhere there are neither its sockets nor its compiler. */
export const IS_BUN: boolean = typeof Bun !== "undefined";

/** The binary starts with a compiler that holds back: right for what is over soon, wrong for the rest. */
export function compileEagerly(): void {
  if (IS_BUN) Bun.unsafe.setJITPolicy(1);
}
