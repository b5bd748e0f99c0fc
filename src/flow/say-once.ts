/** For what is found at every look and worth one line. */
import type { World } from "./access.ts";

/** Logs each event with the same fields once. */
export function sayOnce(log: World["log"]): World["log"] {
  const said = new Set<string>();
  return (event, fields) => {
    const line = JSON.stringify([event, fields]);
    if (said.has(line)) return;
    said.add(line);
    log(event, fields);
  };
}
