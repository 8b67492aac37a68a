import { readFileSync, statSync } from 'node:fs';
import { X509Certificate, createPrivateKey } from 'node:crypto';
import { PosternError } from './errors.ts';
import type { TlsIdentity } from './options.ts';

/** How often the files are looked at, at most. */
const LOOK_EVERY_MS = 1_000;

/**
 * An identity from PEM files that something else replaces (`tls`): looked at at most once a second, and used as soon as certificate and key belong
 * together. Until then, and where the files are gone, the last good one serves.
 * @throws PosternError `missing_configuration` where there is none yet
 */
export function tlsFromFiles(paths: { cert: string; key: string; ca: string }): () => TlsIdentity {
  let held: { identity: TlsIdentity; seen: string } | undefined;
  let lookAgainAt = 0;
  return () => {
    const now = performance.now();
    if (held && now < lookAgainAt) return held.identity;
    lookAgainAt = now + LOOK_EVERY_MS;
    try {
      const seen = Object.values(paths)
        .map((path) => statSync(path))
        .map(({ mtimeMs, ino, size }) => `${mtimeMs} ${ino} ${size}`)
        .join();
      if (held?.seen === seen) return held.identity;
      const read = (path: string) => readFileSync(path, 'utf8');
      const identity = { cert: read(paths.cert), key: read(paths.key), ca: read(paths.ca) };
      if (!new X509Certificate(identity.cert).checkPrivateKey(createPrivateKey(identity.key)))
        throw new Error('no pair');
      held = { identity, seen };
    } catch {
      // Between the two files of a replacement they do not belong together.
      if (!held)
        throw new PosternError('client', 'missing_configuration', {
          detail: 'the certificate, its key and its CA cannot be read',
        });
    }
    return held.identity;
  };
}
