/** The chart's texts for people: its values, and its README. */
import type { Wiring } from "./wiring.ts";
import { notesOf } from "./wiring-notes.ts";
import { renderYaml } from "./yaml.ts";

/** What a release may set. */
export function chartValues(wiring: Wiring): string {
  const values = {
    migration: {
      owner: wiring.owner,
      deadlineSeconds: wiring.jobDeadlineS,
      lockWaitSeconds: wiring.lockWaitS,
    },
    headgate: { image: wiring.image, bundle: wiring.fingerprint },
    database: { secret: "", urlKey: wiring.urlKey, directUrlKey: wiring.directUrlKey },
    probe: {
      budgetMilliseconds: wiring.probeBudgetMs,
      timeoutSeconds: wiring.probeTimeoutS,
      periodSeconds: wiring.probePeriodS,
      failureThreshold: wiring.probeFailures,
    },
    app: { image: wiring.appImage, replicas: wiring.replicas, env: [] },
  };
  return renderYaml(values);
}

/** What the chart does, and what it must never be made to do. */
export function chartReadme(wiring: Wiring): string {
  return `# ${wiring.name}

\`migration.owner\` is the one switch: \`job\`, \`init\` or \`app\`. Whoever it names migrates, and the application's pods skip migrations exactly when it is not \`app\`. \`app.env\` is yours; what headgate sets for itself cannot be changed there.

\`database.secret\` names the Secret with the URLs, \`database.urlKey\` and \`database.directUrlKey\` its keys; without a name it is \`<release>-database\`. \`<release>-seeds\`, which may be missing, holds what seeding reads.

\`\`\`text
${notesOf(wiring, "helm").join("\n")}
\`\`\`

## Why the Job is not a post-install hook

With \`helm install --wait\`, Helm waits until the pods are ready before it runs post-install hooks; the pods wait for the schema, and the schema for the hook. A plain Job is applied together with the pods, and they wait for it by themselves. A pre-install hook works too (\`--job helm\`), if the Secret is there before the release.
`;
}
