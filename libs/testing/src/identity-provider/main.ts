import { readFileSync, watch } from 'node:fs';
import { dirname } from 'node:path';

import * as z from 'zod';

import { profileNames } from '@postern/profile';

import { type Realm } from './realm.ts';
import { startIdentityProvider } from './start.ts';

/** The file this process is started with: `node main.ts FILE`. Paths are absolute. */
const settings = z.strictObject({
  port: z.int().min(1).max(65_535),
  profile: z.enum(profileNames),
  dataDir: z.string(),
  certPath: z.string(),
  keyPath: z.string(),
  caPath: z.string(),
  /** A realm as `developmentRealm` gives it; its rules are checked at the start. */
  realm: z.custom<Realm>((value) => typeof value === 'object' && value !== null && 'clients' in value),
});

const [file] = process.argv.slice(2);
if (!file) {
  process.stderr.write('usage: node main.ts FILE\n');
  process.exit(64);
}
const { certPath, keyPath, caPath, ...rest } = settings.parse(JSON.parse(readFileSync(file, 'utf8')));
const readTls = () => ({
  cert: readFileSync(certPath, 'utf8'),
  key: readFileSync(keyPath, 'utf8'),
  ca: readFileSync(caPath, 'utf8'),
});
const provider = await startIdentityProvider({ ...rest, tls: readTls() });
/** The three files are replaced one after the other: read when that is over. */
const SETTLE_MS = 100;
let settle: NodeJS.Timeout | undefined;
watch(dirname(certPath), { persistent: false }, () => {
  clearTimeout(settle);
  settle = setTimeout(rotate, SETTLE_MS);
});

/** Where a busy machine takes longer, a key is read that is not the certificate's yet: what was shown stays, and the next change is looked at. */
function rotate(): void {
  try {
    provider.rotate(readTls());
  } catch (error) {
    process.stderr.write(`these certificates are not taken: ${(error as Error).message}\n`);
  }
}
process.stdout.write(`${JSON.stringify({ ready: true, issuer: provider.issuer })}\n`);

let closing = false;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (closing) return;
    closing = true;
    void provider.close().then(() => process.exit(0));
  });
}
