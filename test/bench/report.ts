/** What a bench found, as data and as tables. Pure. */

export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly target?: number;
  readonly stretch?: number;
}

export interface BenchSummary {
  /** On what it was measured: one fact each. */
  readonly on: readonly string[];
  readonly figures: readonly Figure[];
  /** What could not be compared, and why. */
  readonly missing: readonly string[];
}

/** Whether the aims were reached; "" when there are none. */
export function verdictOn({ value, target, stretch }: Figure): string {
  if (stretch !== undefined && value <= stretch) return "stretch met";
  if (target !== undefined) return value <= target ? "met" : "missed";
  return stretch === undefined ? "" : "stretch missed";
}

/** One line of the table that a run prints. */
export function renderLine(figure: Figure): string {
  const columns = [
    figure.name.padEnd(66),
    number(figure.value).padStart(8),
    aim(figure.target).padStart(9),
    aim(figure.stretch).padStart(9),
    verdictOn(figure),
  ];
  return columns.join("  ").trimEnd();
}

/** How many aims were reached. */
export function renderTally(figures: readonly Figure[]): string {
  const aimed = figures.filter(({ target }) => target !== undefined);
  const missed = aimed.filter((figure) => verdictOn(figure) === "missed");
  const reached = figures.filter((figure) => verdictOn(figure) === "stretch met").length;
  const names = missed.map(({ name }) => `\n  missed: ${name}`).join("");
  return `${aimed.length - missed.length} of ${aimed.length} targets met, ${reached} stretch goals${names}`;
}

/** The README's block. */
export function renderReadme({ on, figures, missing }: BenchSummary): string {
  const cells = (row: readonly string[]): string => `| ${row.join(" | ")} |`;
  const rows = figures.map((figure) =>
    cells([
      figure.name,
      number(figure.value),
      aim(figure.target),
      aim(figure.stretch),
      verdictOn(figure),
    ]),
  );
  return [
    `Measured on ${on.join("; ")}.`,
    "",
    cells(["Figure", "Measured", "Target", "Stretch", ""]),
    cells(["---", "---", "---", "---", "---"]),
    ...rows,
    ...(missing.length === 0 ? [] : ["", `Not compared: ${missing.join("; ")}.`]),
  ].join("\n");
}

function number(value: number): string {
  if (Number.isInteger(value)) return String(value);
  return value.toFixed(value < 0.1 ? 3 : 2);
}

function aim(value: number | undefined): string {
  if (value === undefined) return "";
  return value === 0 ? "0" : `≤ ${value}`;
}
