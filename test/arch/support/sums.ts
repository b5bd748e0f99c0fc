/** Released migrations never change, and their numbers have no gap. */

/** What became of released lines of a SHA256SUMS file. New lines are nobody's business here. */
export function changedSums(released: string, today: string): readonly string[] {
  const now = new Map(entriesOf(today));
  return entriesOf(released).flatMap(([file, sum]) => {
    const current = now.get(file);
    if (current === undefined) return [`${file} was released and is gone`];
    return current === sum
      ? []
      : [`${file} was released and has changed: put it back, add a new one`];
  });
}

function entriesOf(sums: string): readonly (readonly [file: string, sum: string])[] {
  const lines = sums.split("\n").filter((line) => line !== "");
  return lines.map((line) => {
    const [, sum, file] = /^([0-9a-f]{64}) {2}(\S+)$/.exec(line) ?? [];
    if (sum === undefined || file === undefined) throw new Error(`no checksum line: ${line}`);
    return [file, sum];
  });
}

/** Numbers between 1 and the highest that are not there. */
export function gapsOf(versions: readonly number[]): readonly string[] {
  const known = new Set(versions);
  return Array.from({ length: Math.max(0, ...versions) }, (_, i) => i + 1)
    .filter((version) => !known.has(version))
    .map((version) => `${version} is missing`);
}
