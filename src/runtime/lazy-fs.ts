/** `node:fs` when it is first asked for: most probes need no file, and loading it costs a tenth of one. */
export function fs(): typeof import("node:fs") {
  return globalThis.process.getBuiltinModule("node:fs");
}
