import type { Substrate } from "./substrate.ts";

export async function openContainerSubstrate(): Promise<Substrate> {
  throw new Error("not yet");
}
