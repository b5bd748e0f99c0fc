/**
 * The image as a cluster runs it: read-only, as a foreign user, without capabilities, shell and /tmp; and the three ways
 * in which its binary gets beside an application. `TEST_SUBSTRATE` says what runs it: an engine, or a namespace.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { copyFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { stage } from "../../.ci/image.ts";
import { emptyRoot, glibcRoot } from "../support/app-images.ts";
import { migrationFolder } from "../support/folder.ts";
import { BINARY } from "../support/headgate.ts";
import { type Image, openImageRunner, openVolume, removeImages } from "../support/image-runner.ts";
import { query } from "../support/query.ts";
import { createScratchFolder } from "../support/scratch.ts";
import { useServers } from "../support/use-servers.ts";

const servers = useServers();
const runner = openImageRunner();
const HOW = runner.kind === "containers" ? "an engine" : "a namespace of its own";
const root = createScratchFolder("image");
const CONTAINERFILE: string = join(import.meta.dirname, "../../Containerfile");

let image: Image;
let files: readonly string[];

/** A probe's default budget is for one that runs alone: a busy test machine must not decide. */
const envOf = (url: string): Readonly<Record<string, string>> => ({
  DATABASE_URL: url,
  HEADGATE_TIMEOUT: "10s",
  HEADGATE_LOG_FORMAT: "json",
});

describe.if(runner.canRun)(`the image, run by ${HOW},`, () => {
  beforeAll(() => {
    files = stage(BINARY, root).map(([file]) => file);
    image = runner.image("headgate", root, CONTAINERFILE);
  }, 120_000);

  afterAll(removeImages);

  test("it holds the binary and the C library's files that it links to, nothing else", () => {
    const linked = execFileSync("ldd", [BINARY], { encoding: "utf8" });
    const libraries = Array.from(linked.matchAll(/(\/\S+) \(0x/g), ([, path]) => path ?? "");
    expect([...files].sort()).toEqual(["/headgate", ...new Set(libraries)].sort());
  });

  test("it migrates as an init container and as a Job, and answers as a probe", async () => {
    const { url } = await servers.postgres.createDatabase();
    const env = envOf(url);
    expect(image.run({ args: ["/headgate", "probe"], env }).status).toBe(1);
    const first = image.run({ args: ["/headgate", "up"], env });
    expect(first.stderr).toContain('"event":"database.ready"');
    expect(first.status).toBe(0);
    expect(image.run({ args: ["/headgate", "up"], env, uid: 1_000_650_000 }).stdout).toContain(
      "fast path",
    );
    expect(image.run({ args: ["/headgate", "probe"], env }).status).toBe(0);
    const [row] = await query(url, "select count(*)::int as n from headgate_migrations");
    expect(row).toEqual({ n: 14 });
  }, 120_000);

  test("it has no shell and cannot write to its own root", () => {
    expect(image.run({ args: ["/bin/sh", "-c", "true"] }).status).toBe(127);
    const migrations = migrationFolder({ "1_a.sql": "select 1" });
    const run = image.run({
      args: ["/headgate", "bundle", "--migrations", "/sql", "-o", "/next"],
      mounts: [{ from: readable(migrations), to: "/sql" }],
    });
    expect(run.status).toBe(2);
    expect(run.stderr).toContain("EROFS");
  }, 120_000);

  test("it writes a bundle inside itself, which runs in the same image", async () => {
    const out = openVolume("out");
    const migrations = readable(migrationFolder({ "3_three.sql": "create table three ();" }));
    const made = image.run({
      args: ["/headgate", "bundle", "--migrations", "/sql", "-o", "/out/own"],
      mounts: [
        { from: migrations, to: "/sql" },
        { from: out, to: "/out", isWritable: true },
      ],
    });
    expect(made.stderr).toBe("");
    expect(made.status).toBe(0);
    const own = createScratchFolder("own-image");
    stage(join(out, "own"), own);
    const ownImage = runner.image("own", own, CONTAINERFILE);
    const { url } = await servers.postgres.createDatabase();
    expect(ownImage.run({ args: ["/headgate", "up"], env: envOf(url) }).status).toBe(0);
    expect(ownImage.run({ args: ["/headgate", "probe"], env: envOf(url) }).status).toBe(0);
    expect(await query(url, "select version::int from headgate_migrations")).toEqual([
      { version: 3 },
    ]);
  }, 120_000);

  describe("headgate install, as an init container, and then in the application's image:", () => {
    let shared: string;
    let ready: Readonly<Record<string, string>>;
    let commands: { readonly command: readonly string[]; readonly anywhere: readonly string[] };

    beforeAll(async () => {
      shared = openVolume("shared");
      const run = image.run({
        args: ["/headgate", "install", "/shared", "--json"],
        mounts: [{ from: shared, to: "/shared", isWritable: true }],
      });
      expect(run.stderr).toBe("");
      commands = JSON.parse(run.stdout) as typeof commands;
      const { url } = await servers.postgres.createDatabase();
      ready = envOf(url);
      expect(image.run({ args: ["/headgate", "up"], env: ready }).status).toBe(0);
    }, 120_000);

    test("the copy is for everybody, and whole: a second run replaces it", () => {
      const again = image.run({
        args: ["/headgate", "install", "/shared"],
        mounts: [{ from: shared, to: "/shared", isWritable: true }],
      });
      expect(again.status).toBe(0);
      expect(readdirSync(shared).sort()).toEqual(["headgate", "lib"]);
      expect(statSync(join(shared, "headgate")).mode & 0o777).toBe(0o755);
      expect(statSync(join(shared, "headgate")).size).toBe(statSync(BINARY).size);
    });

    const apps: readonly [name: string, root: () => string, way: "command" | "anywhere"][] = [
      ["an image with glibc, by its path", glibcRoot, "command"],
      ["an image with glibc, through the loader beside it", glibcRoot, "anywhere"],
      ["an image without any C library", emptyRoot, "anywhere"],
    ];
    test("a drill through the loader starts its runners through it", () => {
      const app = runner.image("app-drill", emptyRoot());
      const run = app.run({
        args: [...commands.anywhere, "drill", "--replicas", "2", "--kill", "1", "--json"],
        env: ready,
        mounts: [{ from: shared, to: "/shared" }],
      });
      expect(run.stdout).toContain('"verdict":"good"');
      expect(run.status).toBe(0);
    }, 120_000);

    test.each(apps)(
      "%s",
      async (name, rootOf, way) => {
        const app = runner.image(`app-${name.replaceAll(/\W+/g, "-")}`, rootOf());
        const mounts = [{ from: shared, to: "/shared" }];
        const probe = (env: Readonly<Record<string, string>>) =>
          app.run({ args: [...commands[way], "probe"], env, mounts, uid: 12_345 });
        expect(probe(ready).stderr).toBe("");
        expect(probe(ready).status).toBe(0);
        const { url } = await servers.postgres.createDatabase();
        expect(probe(envOf(url)).status).toBe(1);
      },
      120_000,
    );
  });

  test("as a layer (COPY --from) the binary runs in an image that has glibc", async () => {
    const layered = glibcRoot();
    copyFileSync(BINARY, join(layered, "headgate"));
    const { url } = await servers.postgres.createDatabase();
    const app = runner.image("app-layer", layered);
    expect(app.run({ args: ["/headgate", "up"], env: envOf(url), uid: 12_345 }).status).toBe(0);
    expect(app.run({ args: ["/headgate", "probe"], env: envOf(url), uid: 12_345 }).status).toBe(0);
  }, 120_000);
});

/** The container's user is not the one that made it. */
function readable(folder: string): string {
  execFileSync("chmod", ["-R", "a+rX", folder]);
  return folder;
}
