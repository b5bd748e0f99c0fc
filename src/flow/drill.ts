/**
 * `drill`: proves the protocol where the user is. Real runners, real kills, through the user's own
 * address, on a ledger and migrations of the drill's own in a scratch place, which is removed
 * whatever happens. Four facts shape it; `test/e2e/drill.test.ts` shows them:
 *
 * (1) Who kills and observes must not be who migrates: every runner is a process of its own.
 * (2) A ledger cannot testify for itself: each migration writes a row without any key into an audit
 *     table, in its own transaction.
 * (3) A killed runner's statement goes on until the server notices: removal waits for it.
 * (4) A stop of this process destroys its connections: removal has one that does not stop.
 */
import { DbError } from "../core/db-error.ts";
import { type DrillSize, drillBundle, sizeWithin } from "../core/drill.ts";
import type { Scratch } from "../core/drill-scratch.ts";
import { type DrillSight, type Fault, judgeDrill, type RunnerEnd } from "../core/drill-verdict.ts";
import { HeadgateError } from "../core/error.ts";
import { headState } from "../core/head.ts";
import { quoteLedger } from "../core/identifier.ts";
import { rowsOf } from "../core/ledger.ts";
import { readAudit, readLeftBehind, readSite, type Site } from "../db/drill.ts";
import { readLedger } from "../db/ledger.ts";
import type { Child, Connection } from "../ports.ts";
import { type Access, type World, withConnection } from "./access.ts";
import { unreachableError } from "./db-trouble.ts";
import type { Contrast } from "./drill-contrast.ts";
import { type Race, raceRunners } from "./drill-race.ts";
import { type Route, routeOf } from "./drill-route.ts";
import { chooseScratch, makeScratch, removeScratch, warnOfLeftovers } from "./drill-site.ts";

/** What the command line asks for. */
export interface DrillWish extends DrillSize {
  readonly ownsSchema: boolean;
  /** Show a session-level lock on the same route too. */
  readonly contrasts: boolean;
  /** Twelve hexadecimal digits that no other drill has. */
  readonly token: string;
  /** Starts a runner with this ledger. */
  readonly launch: (ledger: string, onLine: (line: string) => void) => Child;
}

/** What was done and seen; no fault: the protocol holds on this route. */
export interface DrillReport {
  readonly route: string;
  readonly isPooled: boolean;
  readonly scratch: string;
  readonly migrations: number;
  readonly free: number;
  readonly asked: DrillSize;
  readonly replicas: number;
  readonly race: Race;
  readonly contrast: Contrast | undefined;
  readonly faults: readonly Fault[];
}

/**
 * Writes to its scratch place only, and removes it.
 *
 * @throws {HeadgateError} `privilege-missing`, `unreachable` also when too few connections are free
 */
export async function drill(world: World, access: Access, wish: DrillWish): Promise<DrillReport> {
  const route = routeOf(world, access);
  try {
    const { site, size, scratch } = await withConnection(route.open(), (connection) =>
      prepare(world, connection, access, wish),
    );
    const done = await work(world, route, { wish, size, scratch });
    const { name, isPooled } = { ...route, ...site };
    const { replicas } = size;
    const migrations = drillBundle(scratch).length;
    const asked = { replicas: wish.replicas, kill: wish.kill };
    const seen = { route: name, isPooled, scratch: scratch.name, migrations, free: site.free };
    return { ...seen, asked, replicas, ...done };
  } catch (error) {
    if (world.stop.aborted) throw world.stop.reason;
    throw error instanceof DbError ? unreachableError(error) : error;
  }
}

interface Plan {
  readonly wish: DrillWish;
  readonly size: DrillSize;
  readonly scratch: Scratch;
}

async function prepare(
  world: World,
  connection: Connection,
  access: Access,
  wish: DrillWish,
): Promise<Pick<Plan, "size" | "scratch"> & { readonly site: Site }> {
  const site = await readSite(connection);
  const { searchPath } = access.direct ?? access.main;
  await warnOfLeftovers(world, connection);
  const scratch = await chooseScratch(connection, site, { ...wish, searchPath });
  const size = sizeWithin(wish, site.free);
  if (size.replicas < 2) throw tooFewFree(site.free);
  if (size.replicas < wish.replicas) {
    world.log("drill.reduced", { replicas: size.replicas, asked: wish.replicas, free: site.free });
  }
  return { site, size, scratch };
}

function tooFewFree(free: number): HeadgateError {
  return new HeadgateError(
    `Cannot run the drill: ${free} connections are free, and half of them are not enough for two runners`,
    {
      code: "unreachable",
      hint: "Run it when fewer clients are connected, or raise max_connections or the limit of the role or database",
    },
  );
}

async function work(
  world: World,
  route: Route,
  { wish, size, scratch }: Plan,
): Promise<Pick<DrillReport, "race" | "contrast" | "faults">> {
  let left: readonly Fault[] = [];
  let done: Pick<DrillReport, "race" | "contrast" | "faults">;
  try {
    await makeScratch(route, scratch);
    world.log("drill.started", { scratch: scratch.name, ...size, route: route.name });
    const ledger = quoteLedger(scratch.ledger);
    const race = await raceRunners(world, size, (onLine) => wish.launch(ledger, onLine));
    const faults = judgeDrill(await observe(world, route, scratch, race.ends));
    const contrast = wish.contrasts ? await runContrast(world, route, size) : undefined;
    done = { race, contrast, faults: [...faults, ...lockLeft(contrast)] };
  } finally {
    left = await removeScratch(world, route, scratch);
  }
  return { ...done, faults: [...done.faults, ...left] };
}

async function runContrast(world: World, route: Route, size: DrillSize): Promise<Contrast> {
  const { contrast } = await import("./drill-contrast.ts");
  return contrast(world, route, size);
}

function lockLeft(contrast: Contrast | undefined): readonly Fault[] {
  if (!contrast || contrast.left.length === 0) return [];
  const pids = contrast.left.map(({ pid }) => pid).join(", ");
  const what = `the contrast's session-level lock is still held by pid ${pids}`;
  const why = `They work for other clients, so they were not ended; when they rest: headgate locks release ${contrast.left[0]?.pid}`;
  return [{ kind: "lock-left", what, why }];
}

/** A killed statement ends within the server's next look for its client, which is every 2 s. */
const FREE_WITHIN_MS = 3000;
const LOOK_EVERY_MS = 100;

/** When every runner has ended. */
function observe(
  world: World,
  route: Route,
  scratch: Scratch,
  runners: readonly RunnerEnd[],
): Promise<DrillSight> {
  return withConnection(route.open(), async (connection) => {
    const startMs = world.clock.nowMs();
    let left = await readLeftBehind(connection, scratch);
    while (left.length > 0 && world.clock.nowMs() - startMs < FREE_WITHIN_MS) {
      await world.clock.sleep(LOOK_EVERY_MS);
      left = await readLeftBehind(connection, scratch);
    }
    const leftAfterMs = Math.round(world.clock.nowMs() - startMs);
    const bundle = drillBundle(scratch);
    const ledger = await readLedger(connection, scratch.ledger);
    const recorded = rowsOf(ledger).filter(({ state }) => state === "applied");
    return {
      versions: bundle.map(({ version }) => version),
      runners,
      audit: await readAudit(connection, scratch),
      recorded: recorded.map(({ version }) => version),
      state: headState(bundle, ledger).kind,
      left,
      leftAfterMs,
    };
  });
}
