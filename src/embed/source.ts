/** The migrations that this binary carries. */
import type { Bundle } from "../core/migration.ts";
import { HEAD } from "./head.gen.ts";

export { HEAD };

/** Loads and parses the texts; the head is known without. */
export async function loadEmbedded(): Promise<Bundle> {
  const { FILES } = await import("./bundle.gen.ts");
  const { buildBundle } = await import("../core/bundle.ts");
  return buildBundle(FILES, "the embedded bundle");
}
