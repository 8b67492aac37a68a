import { createHash, createPrivateKey, type X509Certificate } from 'node:crypto';
import { watch, type FSWatcher } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { certificatesOf } from './certificate-chain.ts';

/** Where a workload's certificate chain, private key and trust anchors lie. All three are PEM. */
export type TlsPaths = { cert: string; key: string; ca: string };

/** One consistent reading of the three files. */
export type TlsFiles = {
  cert: string;
  key: string;
  ca: string;
  /** base64url SHA-256 of the leaf's DER: the value of `cnf.x5t#S256` (RFC 8705, 3.1). */
  thumbprint: string;
  notAfter: Date;
};

export type TlsMaterial = {
  /** The newest files that were consistent when read. Never an expired or torn set. */
  current(): TlsFiles;
  /** Calls `listener` after each rotation. Returns what ends the subscription. */
  onChange(listener: (files: TlsFiles) => void): () => void;
  close(): void;
};

export type WatchOptions = {
  /** Where file system events are lost (network volumes), the files are read again this often. Default 30 s. */
  pollMs?: number;
  /** Told when new files could not be taken: the old ones stay in use. */
  refused?: (error: Error) => void;
};

const SETTLE_MS = 50;

/**
 * Reads TLS material and follows its rotation.
 *
 * Directories are watched, not files: Kubernetes and most issuers replace files by a rename. A set whose key does not
 * fit its certificate (a rotation half written) or whose certificate has expired is refused, and the old one stays.
 *
 * @throws Error when the first reading is refused; the message names the path, never the content.
 */
export async function watchTlsMaterial(paths: TlsPaths, options: WatchOptions = {}): Promise<TlsMaterial> {
  const { pollMs = 30_000, refused = () => {} } = options;
  const listeners = new Set<(files: TlsFiles) => void>();
  let files = await readTlsFiles(paths);
  let closed = false;
  let settle: NodeJS.Timeout | undefined;

  const reload = async () => {
    try {
      const next = await readTlsFiles(paths);
      if (closed || (next.cert === files.cert && next.key === files.key && next.ca === files.ca)) return;
      files = next;
      for (const listener of [...listeners]) listener(files);
    } catch (error) {
      if (!closed) refused(error as Error);
    }
  };
  const soon = () => {
    clearTimeout(settle);
    settle = setTimeout(reload, SETTLE_MS);
    settle.unref();
  };
  const watchers = watchDirectories(paths, soon);
  const poll = setInterval(reload, pollMs);
  poll.unref();

  return {
    current: () => files,
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    close() {
      closed = true;
      clearTimeout(settle);
      clearInterval(poll);
      for (const watcher of watchers) watcher.close();
      listeners.clear();
    },
  };
}

function watchDirectories(paths: TlsPaths, changed: () => void): FSWatcher[] {
  const directories = new Set(Object.values(paths).map((path) => dirname(path)));
  return [...directories].flatMap((directory) => {
    try {
      const watcher = watch(directory, { persistent: false }, changed);
      // A directory that vanishes or a system out of watches leaves the poll.
      watcher.on('error', () => watcher.close());
      return [watcher];
    } catch {
      return [];
    }
  });
}

async function readTlsFiles(paths: TlsPaths): Promise<TlsFiles> {
  const [cert, key, ca] = await Promise.all([
    readFile(paths.cert, 'utf8'),
    readFile(paths.key, 'utf8'),
    readFile(paths.ca, 'utf8'),
  ]);
  const leaf = parsed(paths.cert, () => allCertificatesOf(cert)[0]);
  const privateKey = parsed(paths.key, () => createPrivateKey(key));
  parsed(paths.ca, () => allCertificatesOf(ca));
  if (!leaf.checkPrivateKey(privateKey)) throw new Error(`${paths.key} is not the key of ${paths.cert}`);
  const notAfter = new Date(leaf.validTo);
  if (notAfter.getTime() <= Date.now()) throw new Error(`${paths.cert} expired at ${notAfter.toISOString()}`);
  return { cert, key, ca, thumbprint: certificateThumbprint(leaf), notAfter };
}

/** Every one that the text begins: TLS would pass over a second anchor that is torn, and fail at each connection by a torn chain. */
function allCertificatesOf(pem: string): [X509Certificate, ...X509Certificate[]] {
  const [first, ...more] = certificatesOf(pem);
  const begun = pem.split('-----BEGIN CERTIFICATE-----').length - 1;
  if (first === undefined || begun !== 1 + more.length) throw new Error('not all of it is there');
  return [first, ...more];
}

function parsed<T>(path: string, parse: () => T): T {
  try {
    return parse();
  } catch {
    throw new Error(`${path} is not the PEM it should be`);
  }
}

/** RFC 8705 3.1: base64url SHA-256 over the certificate's DER, 43 characters. */
export function certificateThumbprint(certificate: X509Certificate): string {
  return createHash('sha256').update(certificate.raw).digest('base64url');
}
