/** What is in the binary, as a CycloneDX document: the packages that are compiled in, and the runtime. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import manifest from "../package.json" with { type: "json" };
import { ROOT } from "./compile.ts";

/** A line of `bun.lock`: `name@version`, where from, what it needs, its digest. */
type Locked = readonly [id: string, from: string, needs: object, integrity: string];

export interface Component {
  readonly type: "library" | "platform";
  readonly name: string;
  readonly version: string;
  readonly purl: string;
  readonly licenses: readonly { readonly license: { readonly id: string } }[];
  readonly hashes: readonly { readonly alg: "SHA-512"; readonly content: string }[];
}

export interface Sbom {
  readonly bomFormat: "CycloneDX";
  readonly specVersion: "1.6";
  readonly version: 1;
  readonly metadata: object;
  readonly components: readonly Component[];
  readonly dependencies: readonly object[];
}

/** Of this checkout; it names no time, so that one commit has one document. */
export function createSbom(commit: string): Sbom {
  const packages = Object.entries(manifest.dependencies).map(([name, version]) =>
    toComponent("library", name, version),
  );
  const runtime = toComponent("platform", "bun", manifest.devDependencies.bun);
  const components = [...packages, runtime];
  const self = `pkg:generic/${manifest.name}@${manifest.version}`;
  return {
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: {
      component: {
        type: "application",
        "bom-ref": self,
        name: manifest.name,
        version: manifest.version,
        description: manifest.description,
        licenses: [{ license: { id: manifest.license } }],
        properties: [{ name: "headgate:commit", value: commit }],
      },
    },
    components: components.map((component) => ({ ...component, "bom-ref": component.purl })),
    dependencies: [{ ref: self, dependsOn: components.map(({ purl }) => purl) }],
  };
}

function toComponent(type: Component["type"], name: string, version: string): Component {
  const installed = join(ROOT, "node_modules", name, "package.json");
  const { license } = JSON.parse(readFileSync(installed, "utf8")) as { license: string };
  const content = Buffer.from(integrityOf(name).replace(/^sha512-/, ""), "base64").toString("hex");
  return {
    type,
    name,
    version,
    purl: `pkg:npm/${name}@${version}`,
    licenses: [{ license: { id: license } }],
    hashes: [{ alg: "SHA-512", content }],
  };
}

/** The lock file is JSON with trailing commas. */
function integrityOf(name: string): string {
  const text = readFileSync(join(ROOT, "bun.lock"), "utf8").replaceAll(/,(?=\s*[}\]])/g, "");
  const { packages } = JSON.parse(text) as { packages: Readonly<Record<string, Locked>> };
  const integrity = packages[name]?.[3];
  if (integrity === undefined) throw new Error(`bun.lock has no digest of ${name}`);
  return integrity;
}
