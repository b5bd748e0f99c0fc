/** How often each command waits for an answer. A count is stable where a time is not. */
import { expect, test } from "bun:test";
import { migrationFolder } from "../support/folder.ts";
import { headgate, withUrl } from "../support/headgate.ts";
import { openRelay } from "../support/relay.ts";
import { useServers } from "../support/use-servers.ts";

const servers = useServers();

/** An answer that takes that long comes after everything that was sent without waiting for it. */
const ANSWER_DELAY_MS = 20;

function light(count: number): string {
  const files: Record<string, string> = { "0001_t.sql": "create table t ();\n" };
  for (let version = 2; version <= count; version += 1) {
    files[`${String(version).padStart(4, "0")}_step.sql`] = `comment on table t is '${version}';\n`;
  }
  return migrationFolder(files);
}

/** Round trips of one command, login included. */
async function tripsOf(url: string, args: readonly string[]): Promise<number> {
  const relay = await openRelay(servers.postgres, ANSWER_DELAY_MS);
  const through = new URL(url);
  through.host = `${relay.host}:${relay.port}`;
  const run = await headgate(args, withUrl(`${through.href}?sslmode=disable`));
  const turns = relay.turns();
  await relay.close();
  expect(run.status, run.stderr).toBe(0);
  return turns;
}

test("up waits twice for each migration, and at head no more often than a probe", async () => {
  const trips = new Map<number, number>();
  for (const count of [1, 2, 21]) {
    const { url } = await servers.postgres.createDatabase();
    trips.set(count, await tripsOf(url, ["up", "--dir", light(count)]));
    if (count === 21) {
      const dir = light(count);
      trips.set(-1, await tripsOf(url, ["up", "--dir", dir]));
      trips.set(-2, await tripsOf(url, ["probe", "--dir", dir]));
    }
  }
  console.log(trips);
}, 60_000);
