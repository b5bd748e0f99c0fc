/**
 * The Kubernetes objects that `manifest` prints, as far as it prints them. A test holds every printed
 * object against Kubernetes' own published types.
 */

/** One variable: a value, or a key of a Secret. */
export interface EnvVar {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: {
    readonly secretKeyRef: {
      readonly name: string;
      readonly key: string;
      readonly optional?: boolean;
    };
  };
}

/** Every key of a Secret as a variable; `env` wins over them. */
export interface SecretRef {
  readonly name: string;
  readonly optional: true;
}

/** An exec probe, in seconds. */
export interface ExecProbe {
  readonly exec: { readonly command: readonly string[] };
  readonly timeoutSeconds: number;
  readonly periodSeconds: number;
  readonly failureThreshold: number;
}

/** What the "restricted" pod security standard asks of a container. */
export interface ContainerSecurity {
  readonly allowPrivilegeEscalation: false;
  readonly capabilities: { readonly drop: readonly ["ALL"] };
  readonly readOnlyRootFilesystem?: true;
}

/** Mounted at a path of the container. */
export interface VolumeMount {
  readonly name: string;
  readonly mountPath: string;
  readonly readOnly?: boolean;
}

/** A container, an init container, or with `restartPolicy` a native sidecar. */
export interface Container {
  readonly name: string;
  readonly image: string;
  readonly args?: readonly string[];
  readonly restartPolicy?: "Always";
  readonly env?: readonly EnvVar[];
  readonly envFrom?: readonly { readonly secretRef: SecretRef }[];
  readonly startupProbe?: ExecProbe;
  readonly resources?: {
    readonly requests: Readonly<Record<"cpu" | "memory", string>>;
    readonly limits: Readonly<Record<"memory", string>>;
  };
  readonly securityContext: ContainerSecurity;
  readonly terminationMessagePolicy?: "FallbackToLogsOnError";
  readonly volumeMounts?: readonly VolumeMount[];
}

/** What runs together. */
export interface PodSpec {
  readonly restartPolicy?: "Never";
  readonly automountServiceAccountToken?: boolean;
  readonly securityContext: {
    readonly runAsNonRoot: true;
    readonly seccompProfile: { readonly type: "RuntimeDefault" };
  };
  readonly initContainers?: readonly Container[];
  readonly containers: readonly Container[];
  readonly volumes?: readonly { readonly name: string; readonly emptyDir: Strings }[];
}

type Strings = Readonly<Record<string, string>>;

/** Its names and notes. */
export interface Metadata {
  readonly name: string;
  readonly labels: Strings;
  readonly annotations: Strings;
}

/** The pod of a Job or a Deployment. */
export interface PodTemplate {
  readonly metadata: Omit<Metadata, "name">;
  readonly spec: PodSpec;
}

/** Runs to its end once. Cannot be changed once it is there. */
export interface Job {
  readonly apiVersion: "batch/v1";
  readonly kind: "Job";
  readonly metadata: Metadata;
  readonly spec: {
    readonly activeDeadlineSeconds: number;
    readonly backoffLimit: number;
    readonly ttlSecondsAfterFinished?: number;
    readonly template: PodTemplate;
  };
}

/** The application's replicas. */
export interface Deployment {
  readonly apiVersion: "apps/v1";
  readonly kind: "Deployment";
  readonly metadata: Metadata;
  readonly spec: {
    readonly replicas: number;
    readonly selector: { readonly matchLabels: Strings };
    readonly template: PodTemplate;
  };
}
