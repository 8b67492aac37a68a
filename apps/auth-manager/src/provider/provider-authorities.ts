import { readFileSync } from 'node:fs';
import type { TlsMaterial } from '@postern/mtls';
import { ConfigurationError } from '@postern/runtime';

/**
 * Who vouches for the provider besides the public authorities: the file the operator names, or the CA of the workloads,
 * which is asked again at each connection because it may be replaced.
 * @throws ConfigurationError for a file that cannot be read.
 */
export function providerAuthorities(path: string | undefined, tls: TlsMaterial): () => string {
  if (path === undefined) return () => tls.current().ca;
  try {
    const pem = readFileSync(path, 'utf8');
    return () => pem;
  } catch {
    throw new ConfigurationError(['POSTERN_PROVIDER_CA_PATH: the file cannot be read']);
  }
}
