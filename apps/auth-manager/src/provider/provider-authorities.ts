import { readFileSync } from 'node:fs';
import type { TlsMaterial } from '@postern/mtls';

/**
 * Who vouches for the provider besides the public authorities: the file the operator names, or the CA of the workloads,
 * which is asked again at each connection because it may be replaced.
 * @throws the file system's error for a file that cannot be read: the start fails.
 */
export function providerAuthorities(path: string | undefined, tls: TlsMaterial): () => string {
  if (path === undefined) return () => tls.current().ca;
  const pem = readFileSync(path, 'utf8');
  return () => pem;
}
