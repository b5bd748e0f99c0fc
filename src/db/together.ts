/**
 * Several statements on one connection without waiting between them. Inside a transaction a failure
 * makes every later one fail too (25P02), and a COMMIT behind it rolls back: so the first counts.
 */

/** The answers, in order. @throws what the first that failed threw, once all are answered. */
export async function together<T extends readonly unknown[] | []>(
  sent: T,
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  await Promise.allSettled(sent);
  // In order, and all settled: the first rejection is the one that is thrown.
  const answers: unknown[] = [];
  for (const answer of sent) answers.push(await answer);
  return answers as { -readonly [K in keyof T]: Awaited<T[K]> };
}
