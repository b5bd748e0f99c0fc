/**
 * The roots of three images that an application might have, out of this machine's own files: one with glibc, one with
 * musl as Alpine has it, and one with nothing but the application.
 */
import { execFileSync } from "node:child_process";
import { chmodSync, copyFileSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createScratchFolder } from "./scratch.ts";

const MUSL_LOADER = "/lib/ld-musl-x86_64.so.1";

/** A file in the application's place. */
function appRoot(name: string): string {
  const root = createScratchFolder(name);
  chmodSync(root, 0o755);
  writeFileSync(join(root, "application"), "");
  return root;
}

/** No C library at all. */
export function emptyRoot(): string {
  return appRoot("app-empty");
}

/** This machine's glibc. */
export function glibcRoot(): string {
  const root = appRoot("app-glibc");
  const listing = execFileSync("ldd", ["/bin/sh", process.execPath], { encoding: "utf8" });
  const paths = Array.from(listing.matchAll(/(\/\S+) \(0x/g), ([, path]) => path ?? "");
  for (const path of new Set(paths)) put(path, join(root, path));
  return root;
}

/**
 * musl and a `libstdc++.so.6` for it. Alpine's own cannot be had here, so the compiler's archive is linked anew: the
 * few functions that the runtime calls, and three that the archive expects of glibc.
 *
 * @param binary For musl; what it calls is linked.
 * @throws {Error} naming the Debian package that is missing
 */
export function muslRoot(binary: string): string {
  if (!existsSync(MUSL_LOADER)) throw new Error("musl is missing: apt-get install musl");
  const root = appRoot("app-musl");
  put(MUSL_LOADER, join(root, MUSL_LOADER));
  linkCxxLibrary(binary, join(root, "usr/lib/libstdc++.so.6"));
  return root;
}

const SHIM = `
int getentropy(void *, unsigned long);
unsigned arc4random(void) { unsigned n = 0; getentropy(&n, sizeof n); return n; }
int _dl_find_object(void *address, void *result) { return -1; }
char __libc_single_threaded = 0;
`;

function linkCxxLibrary(binary: string, outfile: string): void {
  const folder = createScratchFolder("libstdcxx");
  const shim = join(folder, "shim.c");
  writeFileSync(shim, SHIM);
  mkdirSync(dirname(outfile), { recursive: true });
  const symbols = execFileSync("readelf", ["--dyn-syms", "--wide", binary], { encoding: "utf8" });
  const called = Array.from(
    symbols.matchAll(/ (_ZTV\w+|_ZSt\w+|_ZNK?S\w+|__cxa_\w+|__once\w+|__dynamic_cast)(?:@\S+)?$/gm),
    ([, name]) => name ?? "",
  ).filter((name) => !/^__cxa_(?:finalize|thread_atexit_impl|atexit)$/.test(name));
  const wanted = [...new Set(called)].map((name) => `-Wl,-u,${name}`);
  const [begin, end, cxx] = ["crtbeginS.o", "crtendS.o", "libstdc++.a"].map(fileOfCompiler);
  const [unwind, gcc] = ["libgcc_eh.a", "libgcc.a"].map(fileOfCompiler);
  const parts = [begin, shim, ...wanted, cxx, unwind, gcc, end].map(String);
  const flags = ["-shared", "-fPIC", "-O1", "-nostdlib", "-nostartfiles", "-Wl,--gc-sections"];
  execFileSync("gcc", [...flags, "-Wl,-soname,libstdc++.so.6", "-o", outfile, ...parts]);
}

function fileOfCompiler(name: string): string {
  const file = execFileSync("gcc", [`-print-file-name=${name}`], { encoding: "utf8" }).trim();
  if (!file.startsWith("/")) throw new Error(`${name} is missing: apt-get install g++`);
  return file;
}

function put(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(from, to);
  chmodSync(to, 0o755);
}
