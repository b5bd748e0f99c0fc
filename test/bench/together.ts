/** Many processes at once through a pool of two. */
import { measure, median, type Sample, type Storm, storm } from "./measure.ts";
import type { Stage } from "./stage.ts";
import { asHeadgate, asPsql } from "./tools.ts";
import { workload } from "./workload.ts";

export async function together(stage: Stage): Promise<void> {
  await probes(stage);
  await ups(stage);
}

async function probes({ tools, server, pool, size, note, keep }: Stage): Promise<void> {
  const { psql, headgate } = tools;
  const database = await server.createDatabase();
  await measure([asHeadgate(headgate, database.url, ["up"])], 1, 0);
  const url = pool.urlOf(database);
  const count = size(100, 8);
  const [own, others]: [Storm[], Storm[]] = [[], []];
  for (let round = 0; round < size(5, 1); round += 1) {
    own.push(await storm(asHeadgate(headgate, url, ["probe", "--timeout", "60s"]), count));
    if (psql) others.push(sound(await storm(asPsql(psql, url), count)));
  }
  const what = `${count} probes at once, pool of 2`;
  keep(
    what,
    new Map([
      ["probe", own],
      ["psql", others],
    ]),
  );
  const of = (figure: keyof Sample): number =>
    median(others.map((other, i) => (own[i]?.[figure] ?? Number.NaN) / other[figure]));
  note({
    name: `${what} / psql, until all are done`,
    value: of("wallMs"),
    target: 1,
    stretch: 0.8,
  });
  note({ name: `${what} / psql, CPU`, value: of("cpuMs"), target: 0.8, stretch: 0.65 });
  note({ name: `${what}: failures`, value: failuresIn(own), target: 0 });
}

/** The default bundle is done before the last process has started; a longer load shows the crowd's share. */
async function ups(stage: Stage): Promise<void> {
  const { size, note } = stage;
  const long = workload("light", size(1000, 50));
  const loads: readonly Load[] = [
    { what: "the default bundle", args: [], rounds: size(3, 1) },
    {
      what: `${long.count} light migrations`,
      args: ["--dir", long.headgate()],
      rounds: size(2, 1),
    },
  ];
  const failures: number[] = [];
  for (const load of loads) {
    failures.push(await atOnce(stage, load, { count: size(24, 4), target: 1.5 }));
    failures.push(await atOnce(stage, load, { count: size(100, 8), target: 2 }));
  }
  const value = failures.reduce((sum, each) => sum + each, 0);
  note({ name: "`up` at once: failures", value, target: 0 });
}

interface Load {
  readonly what: string;
  readonly args: readonly string[];
  readonly rounds: number;
}

/** How many failed. */
async function atOnce(
  { tools, server, pool, note, keep }: Stage,
  { what, args, rounds }: Load,
  { count, target }: { readonly count: number; readonly target: number },
): Promise<number> {
  const onEmpty = async (processes: number): Promise<Storm> => {
    const url = pool.urlOf(await server.createDatabase());
    return storm(asHeadgate(tools.headgate, url, ["up", ...args]), processes);
  };
  const [alone, many]: [Storm[], Storm[]] = [[], []];
  for (let round = 0; round < rounds; round += 1) {
    alone.push(await onEmpty(1));
    many.push(await onEmpty(count));
  }
  const name = `${count} \`up\` at once with ${what}, pool of 2 / one`;
  keep(
    name,
    new Map([
      ["alone", alone],
      ["together", many],
    ]),
  );
  const value = median(many.map(({ wallMs }, i) => wallMs / (alone[i]?.wallMs ?? Number.NaN)));
  note({ name, value, target });
  return failuresIn([...alone, ...many]);
}

/** Who is compared with must have answered. @throws {Error} with the first of its failures. */
function sound(storm: Storm): Storm {
  const [first] = storm.failures;
  if (first !== undefined) throw new Error(first);
  return storm;
}

function failuresIn(storms: readonly Storm[]): number {
  return storms.reduce((sum, { failures }) => sum + failures.length, 0);
}
