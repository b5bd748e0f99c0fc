/** Bun's own sockets: what `node:net` is built on here, without the cost of loading it. */
import type { Endpoint, Listener, Stream, TlsWish, WirePort } from "../ports.ts";

const NAME_MISMATCH = "ERR_TLS_CERT_ALTNAME_INVALID";

/** For `wire/`. */
export const BUN_WIRE: WirePort = {
  dial,
  md5: (bytes) => new Bun.CryptoHasher("md5").update(bytes).digest(),
  sha256: (bytes) => new Bun.CryptoHasher("sha256").update(bytes).digest(),
  hmacSha256: (key, bytes) => new Bun.CryptoHasher("sha256", key).update(bytes).digest(),
};

type Socket = Bun.Socket<undefined>;
type Problem = (Error & { readonly code?: string }) | null;

async function dial(endpoint: Endpoint, listener: Listener): Promise<Stream> {
  const link: Link = { listener, sink: undefined, unsent: new Uint8Array(), state: "open" };
  let isEncrypted = false;
  const socket = {
    ...handlersOf(link),
    // After the upgrade this handler goes on getting the encrypted bytes.
    data: (_socket: Socket, bytes: Uint8Array) => {
      if (!isEncrypted) listener.data(bytes);
    },
  };
  const plain: Socket = await ("path" in endpoint
    ? Bun.connect<undefined>({ unix: endpoint.path, socket })
    : Bun.connect<undefined>({ hostname: endpoint.host, port: endpoint.port, socket }));
  link.sink = plain;
  return {
    write: (bytes) => {
      link.unsent = link.unsent.length === 0 ? bytes : new Uint8Array([...link.unsent, ...bytes]);
      flush(link);
    },
    end: () => {
      link.state = "ending";
      flush(link);
    },
    destroy: () => {
      link.state = "closed";
      link.sink?.terminate();
    },
    startTls: (wish) => {
      isEncrypted = true;
      return upgrade(link, plain, wish);
    },
  };
}

interface Link {
  readonly listener: Listener;
  /** Where bytes go: the socket, later the TLS on it. */
  sink: Socket | undefined;
  unsent: Uint8Array;
  state: "open" | "ending" | "closed";
}

/** A socket takes what fits, and says when more does. */
function flush(link: Link): void {
  if (link.sink === undefined || link.state === "closed") return;
  link.unsent = link.unsent.subarray(link.sink.write(link.unsent));
  if (link.state === "ending" && link.unsent.length === 0) link.sink.end();
}

function closed(link: Link, error: Error | undefined): void {
  if (link.state === "closed") return;
  link.state = "closed";
  link.listener.closed(error);
}

function handlersOf(link: Link): Omit<Bun.SocketHandler<undefined>, "data"> {
  return {
    drain: () => flush(link),
    error: (_socket, error) => closed(link, error),
    end: () => closed(link, undefined),
    close: () => closed(link, undefined),
  };
}

function upgrade(link: Link, plain: Socket, wish: TlsWish): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const [, secure] = plain.upgradeTLS<undefined>({
      tls: tlsOptions(wish),
      socket: {
        ...handlersOf(link),
        data: (_socket, bytes) => link.listener.data(bytes),
        handshake: (socket, _isDone, problem: Problem) => {
          const certificate: Uint8Array | undefined = socket.getPeerCertificate()?.raw;
          const isRefused = !certificate || isRefusal(wish, problem);
          if (isRefused) reject(problem ?? new Error("the TLS handshake failed"));
          else resolve(new Uint8Array(certificate));
        },
        close: () => {
          reject(new Error("connection closed by the server"));
          closed(link, undefined);
        },
      },
    });
    link.sink = secure;
  });
}

/** Nothing is sent before `handshake` has decided; the runtime's own check knows no chain without a name. */
function tlsOptions({ serverName, ca, cert, key }: TlsWish): Bun.TLSOptions {
  return {
    rejectUnauthorized: false,
    ...(serverName === undefined ? {} : { serverName }),
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
}

/** A chain that is not trusted is reported before a name that does not match. */
function isRefusal({ proof }: TlsWish, problem: Problem): boolean {
  if (proof === "none" || problem === null) return false;
  return proof === "identity" || problem.code !== NAME_MISMATCH;
}
