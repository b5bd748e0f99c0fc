/** Migrations on an empty database, with real commits. */

import type { Address } from "../support/postgres-admin.ts";
import { openRelay } from "../support/relay.ts";
import { type Contender, measure, ratio } from "./measure.ts";
import { onFresh, type Stage } from "./stage.ts";
import { asDbmate, asHeadgate, asPsqlFile } from "./tools.ts";
import { type Workload, workload } from "./workload.ts";

type Place = (url: string) => string;

export async function migrate(stage: Stage): Promise<void> {
  await light(stage);
  await tables(stage);
  await many(stage);
  await far(stage);
}

/** Everyone who can bring this to an empty database; `place` leads there another way. */
function runners(
  { tools, server }: Stage,
  load: Workload,
  place: Place = (url) => url,
): readonly Contender[] {
  const { headgate, psql, dbmate } = tools;
  const up = (...flags: string[]): Contender =>
    onFresh(server, (url) =>
      asHeadgate(
        headgate,
        place(url),
        ["up", "--dir", load.headgate(), ...flags],
        ["up", ...flags].join(" "),
      ),
    );
  return [
    up(),
    up("--atomic"),
    ...(psql ? [onFresh(server, (url) => asPsqlFile(psql, place(url), load.psql()))] : []),
    ...(dbmate
      ? [onFresh(server, (url) => asDbmate(dbmate, place(url), load.dbmate(), "migrate"))]
      : []),
  ];
}

async function light(stage: Stage): Promise<void> {
  const { size, keep, note } = stage;
  const load = workload("light", size(100, 20));
  const samples = await measure(runners(stage, load), size(7, 1), 0);
  const what = `${load.count} light migrations`;
  keep(what, samples);
  const wall = ratio(samples, "up", "dbmate", "wallMs");
  note({ name: `${what}: \`up\` / dbmate, wall`, value: wall, target: 0.45, stretch: 0.33 });
  const cpu = ratio(samples, "up", "dbmate", "cpuMs");
  note({ name: `${what}: \`up\` / dbmate, CPU`, value: cpu });
  const beside = ratio(samples, "up", "psql -1", "wallMs");
  note({ name: `${what}: \`up\` / \`psql -1\`, wall`, value: beside });
  const atomic = ratio(samples, "up --atomic", "psql -1", "wallMs");
  note({ name: `${what}: \`up --atomic\` / \`psql -1\`, wall`, value: atomic });
}

async function tables(stage: Stage): Promise<void> {
  const { size, keep, note } = stage;
  const load = workload("tables", size(100, 10));
  const samples = await measure(runners(stage, load), size(5, 1), 0);
  const what = `${load.count} \`create table\` migrations`;
  keep(what, samples);
  const wall = ratio(samples, "up", "psql -1", "wallMs");
  note({ name: `${what}: \`up\` / \`psql -1\`, wall`, value: wall, target: 1.2 });
  const beside = ratio(samples, "up", "dbmate", "wallMs");
  note({ name: `${what}: \`up\` / dbmate, wall`, value: beside });
}

async function many(stage: Stage): Promise<void> {
  const { size, keep, note } = stage;
  const load = workload("light", size(1000, 50));
  const samples = await measure(runners(stage, load), size(3, 1), 0);
  const what = `${load.count} light migrations`;
  keep(what, samples);
  const wall = ratio(samples, "up", "dbmate", "wallMs");
  note({ name: `${what}: \`up\` / dbmate, wall`, value: wall, target: 0.33 });
  const cpu = ratio(samples, "up", "dbmate", "cpuMs");
  note({ name: `${what}: \`up\` / dbmate, CPU`, value: cpu, target: 0.15 });
  const atomic = ratio(samples, "up --atomic", "dbmate", "wallMs");
  note({ name: `${what}: \`up --atomic\` / dbmate, wall`, value: atomic, stretch: 0.1 });
}

/** Every answer comes 10 ms later. */
async function far(stage: Stage): Promise<void> {
  const { server, size, keep, note } = stage;
  const relay = await openRelay(server, 10);
  try {
    const load = workload("light", size(100, 10));
    const place = leadingTo(relay);
    const samples = await measure(runners(stage, load, place), size(3, 1), 0);
    const what = `${load.count} light migrations, 10 ms away`;
    keep(what, samples);
    const wall = ratio(samples, "up", "dbmate", "wallMs");
    note({ name: `${what}: \`up\` / dbmate, wall`, value: wall, stretch: 0.033 });
    const beside = ratio(samples, "up", "psql -1", "wallMs");
    note({ name: `${what}: \`up\` / \`psql -1\`, wall`, value: beside, stretch: 0.2 });
    const before = relay.turns();
    await measure(runners(stage, load, place).slice(0, 1), 1, 0);
    const trips = (relay.turns() - before) / load.count;
    const name = `${what}: round trips of \`up\` for each`;
    note({ name, value: trips, target: 2, stretch: 0.2 });
  } finally {
    await relay.close();
  }
}

function leadingTo({ host, port }: Address): Place {
  return (url) => {
    const changed = new URL(url);
    changed.host = `${host}:${port}`;
    return changed.href;
  };
}
