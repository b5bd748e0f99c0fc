/** Suggestions for misspelt words. */

/** The nearest of `words`, if it is near enough to be what was meant. */
export function nearest(word: string, words: readonly string[]): string | undefined {
  const ranked = words
    .map((candidate) => ({ candidate, distance: distance(word, candidate) }))
    .sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  const limit = Math.max(1, Math.floor(Math.max(word.length, best?.candidate.length ?? 0) / 3));
  return best && best.distance <= limit ? best.candidate : undefined;
}

/** Insertions, deletions, substitutions, and two neighbours that changed places (`chekc`). */
function distance(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  const at = (i: number, j: number): number => rows[i]?.[j] ?? 0;
  for (let i = 1; i <= a.length; i += 1) {
    rows.push([i]);
    for (let j = 1; j <= b.length; j += 1) {
      const substitution = at(i - 1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const isSwapped = j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swap = isSwapped ? at(i - 2, j - 2) + 1 : substitution;
      rows[i]?.push(Math.min(swap, substitution, at(i, j - 1) + 1, at(i - 1, j) + 1));
    }
  }
  return at(a.length, b.length);
}
