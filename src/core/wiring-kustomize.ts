/** The objects as one stream, and as a Kustomize folder. */
import type { Wiring } from "./wiring.ts";
import { comment, notesOf } from "./wiring-notes.ts";
import { objectsOf } from "./wiring-objects.ts";
import { renderYaml } from "./yaml.ts";

/** Texts by their path in the folder. */
export type Files = Readonly<Record<string, string>>;

/** One stream of documents for `kubectl apply -f -`. */
export function renderKubernetes(wiring: Wiring): string {
  return comment(notesOf(wiring, "kubernetes")) + objectsOf(wiring).map(renderYaml).join("---\n");
}

/** A folder for `kubectl apply -k`, in which each image has one place for all who run it. */
export function kustomizeFiles(wiring: Wiring): Files {
  const objects = objectsOf({ ...wiring, image: "headgate", appImage: "app" });
  const files = objects.map((object): [string, string] => [
    `${object.kind.toLowerCase()}.yaml`,
    renderYaml(object),
  ]);
  const kustomization = {
    apiVersion: "kustomize.config.k8s.io/v1beta1",
    kind: "Kustomization",
    resources: files.map(([path]) => path),
    images: [imageEntry("headgate", wiring.image), imageEntry("app", wiring.appImage)],
  };
  const head = comment(notesOf(wiring, "kustomize"));
  return { "kustomization.yaml": head + renderYaml(kustomization), ...Object.fromEntries(files) };
}

interface ImageEntry {
  readonly name: string;
  readonly newName: string;
  readonly newTag?: string;
  readonly digest?: string;
}

/** `host:5000/name:tag@sha256:…`: a colon before the last slash is the port's. */
function imageEntry(name: string, image: string): ImageEntry {
  const [, newName = image, newTag, digest] =
    /^(.+?)(?::([\w.-]+))?(?:@(sha256:[0-9a-f]+))?$/.exec(image) ?? [];
  if (digest !== undefined) return { name, newName, digest };
  return newTag === undefined ? { name, newName } : { name, newName, newTag };
}
