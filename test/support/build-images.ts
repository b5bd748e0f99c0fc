/**
 * Builds the images of the substrate "containers" out of this machine's own files; nothing is pulled:
 * PostgreSQL from the npm package, PgBouncer from the system, busybox as the shell, and the libraries `ldd` names.
 *
 * Run with `bun test/support/build-images.ts`. Needs a container engine, and the Debian packages `busybox-static`
 * and `pgbouncer`.
 */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import process from "node:process";
import { $ } from "bun";
import { missingLinks, packageOf } from "./embedded-postgres.ts";

interface Image {
  readonly tag: string;
  /** Adds what the image needs to the folder that becomes its root. */
  readonly fill: (root: string) => void;
  /** Dockerfile instructions that `docker import` takes. */
  readonly changes: readonly string[];
}

const BUSYBOX = "/bin/busybox";
const POSTGRES_HOME = "/usr/local/pgsql";
const PATH_OF_IMAGE = `${POSTGRES_HOME}/bin:/usr/local/bin:/usr/sbin:/usr/bin:/bin`;

/** The uid 999 is the one of "postgres" in the official image. */
const ACCOUNTS = {
  passwd: ["root:x:0:0:root:/root:/bin/sh", "postgres:x:999:999::/var/lib/postgresql:/bin/sh"],
  group: ["root:x:0:", "postgres:x:999:"],
  "nsswitch.conf": ["passwd: files", "group: files", "hosts: files dns"],
} as const;

const IMAGES: readonly Image[] = [
  {
    tag: "headgate-test/postgres:18",
    fill: fillPostgres,
    changes: [
      `ENV PATH=${PATH_OF_IMAGE} LD_LIBRARY_PATH=${POSTGRES_HOME}/lib LC_ALL=C PGDATA=/var/lib/postgresql/data`,
      'ENTRYPOINT ["docker-entrypoint.sh"]',
      'CMD ["postgres"]',
      "EXPOSE 5432",
    ],
  },
  {
    tag: "headgate-test/pgbouncer:1",
    fill: fillPgbouncer,
    changes: [
      `ENV PATH=${PATH_OF_IMAGE}`,
      "USER 999:999",
      'ENTRYPOINT ["docker-entrypoint.sh"]',
      "EXPOSE 5432",
    ],
  },
];

for (const image of IMAGES) {
  const startMs = performance.now();
  await buildImage(image);
  console.log(`built ${image.tag} in ${Math.round(performance.now() - startMs)} ms`);
}

async function buildImage({ tag, fill, changes }: Image): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), "headgate-image-"));
  try {
    fillBase(root);
    fill(root);
    const flags = changes.flatMap((change) => ["--change", change]);
    // Whoever builds it, root owns it.
    const tar = ["tar", "--create", "--owner=0", "--group=0", "--numeric-owner", "-C", root, "."];
    await $`${tar} | docker import ${flags} - ${tag}`.quiet();
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** A system with a shell, and names for the two users. */
function fillBase(root: string): void {
  chmodSync(root, 0o755); // the container's "/" takes it over
  for (const folder of [
    "bin",
    "dev",
    "etc",
    "proc",
    "root",
    "sys",
    "usr/local/bin",
    "usr/sbin",
    "var/lib",
  ]) {
    mkdirSync(join(root, folder), { recursive: true });
  }
  mkdirSync(join(root, "tmp"));
  chmodSync(join(root, "tmp"), 0o1777); // mkdir's mode is cut by the umask
  if (!existsSync(BUSYBOX))
    throw new Error("busybox is not installed: apt-get install busybox-static");
  copyFileSync(BUSYBOX, join(root, "bin/busybox"));
  const applets = execFileSync(BUSYBOX, ["--list"], { encoding: "utf8" }).trim().split("\n");
  for (const applet of applets) {
    if (applet !== "busybox") symlinkSync("busybox", join(root, "bin", applet));
  }
  for (const [name, lines] of Object.entries(ACCOUNTS)) {
    writeFileSync(join(root, "etc", name), `${lines.join("\n")}\n`);
  }
}

function fillPostgres(root: string): void {
  const native = packageOf(18);
  const home = join(root, POSTGRES_HOME);
  cpSync(native, home, { recursive: true });
  for (const { name, file } of missingLinks(native)) {
    const link = join(home, "lib", name);
    if (!existsSync(link)) symlinkSync(basename(file), link);
  }
  const programs = readdirSync(join(home, "bin")).map((name) => join(home, "bin", name));
  copyLibraries(root, programs, join(home, "lib"));
  installEntrypoint(root, "postgres-entrypoint.sh");
}

function fillPgbouncer(root: string): void {
  const program = "/usr/sbin/pgbouncer";
  if (!existsSync(program))
    throw new Error("PgBouncer is not installed: apt-get install pgbouncer");
  copyFileSync(program, join(root, program));
  copyLibraries(root, [program]);
  const config = join(root, "etc/pgbouncer");
  mkdirSync(config);
  chmodSync(config, 0o777); // the entrypoint writes there, and is not root
  installEntrypoint(root, "pgbouncer-entrypoint.sh");
}

/** Copies every library of the system that the programs need, the loader among them, to the same path. */
function copyLibraries(root: string, programs: readonly string[], ownLibraries = ""): void {
  const env = { ...process.env, LD_LIBRARY_PATH: ownLibraries };
  const listing = execFileSync("ldd", [...programs], { env, encoding: "utf8" });
  if (listing.includes("not found")) throw new Error(`A library is missing:\n${listing}`);
  const paths = new Set(
    Array.from(listing.matchAll(/^\s.*?(\/\S+) \(0x/gm), ([, path]) => path ?? ""),
  );
  for (const path of paths) {
    if (path.startsWith(root)) continue;
    mkdirSync(dirname(join(root, path)), { recursive: true });
    copyFileSync(path, join(root, path));
  }
}

function installEntrypoint(root: string, name: string): void {
  const path = join(root, "usr/local/bin/docker-entrypoint.sh");
  copyFileSync(join(import.meta.dirname, "images", name), path);
  chmodSync(path, 0o755);
}
