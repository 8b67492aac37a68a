// The high realm on a real Keycloak in FIPS mode, strict: `node infra/keycloak/test/fips.ts`. No part of `npm test`: the
// server is built anew with the jars of BouncyCastle FIPS (Maven Central), and takes about three times as long to start.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { formOf } from '@postern/testing/identity-provider';
import { keycloakDistribution } from '@postern/testing/keycloak';
import { answer, callback, documentOf, openLiveWorld, password, totp, type LiveWorld } from './live-world.ts';

const run = promisify(execFile);
const BUILD_MS = 600_000;
const BUILD = ['--db=dev-file', '--cache=local', '--https-client-auth=request', '--health-enabled=true'];

/** The jars that `nix/fips.nix` gives the server, each by its hash. */
async function fetchJars(into: string): Promise<void> {
  const list = readFileSync(join(import.meta.dirname, '../nix/fips-jars.nix'), 'utf8');
  const jars = [...list.matchAll(/name = "([^"]+)"; version = "([^"]+)"; hash = "sha256-([^"]+)"/g)];
  if (jars.length !== 4) throw new Error('nix/fips-jars.nix: four jars were expected');
  for (const [, name, version, hash] of jars) {
    const artifact = `-Dartifact=org.bouncycastle:${name}:${version}`;
    await run('mvn', ['-B', '-q', 'dependency:copy', artifact, `-DoutputDirectory=${into}`], { timeout: BUILD_MS });
    const found = createHash('sha256')
      .update(readFileSync(join(into, `${name}-${version}.jar`)))
      .digest('base64');
    if (found !== hash) throw new Error(`${name} ${version}: its hash is ${found}`);
  }
}

/** A copy of the distribution, built for FIPS mode. */
async function builtForFips(folder: string): Promise<string> {
  const home = join(folder, 'keycloak');
  cpSync(await keycloakDistribution(), home, { recursive: true });
  await fetchJars(join(home, 'providers'));
  const options = ['build', ...BUILD, '--features=fips', '--fips-mode=strict'];
  await run(join(home, 'bin/kc.sh'), options, { timeout: BUILD_MS });
  return home;
}

/** How passwords are kept in the high realm, and whether a login with a second factor gives a bound token. */
export async function logInUnderFips(world: LiveWorld): Promise<Record<string, unknown>> {
  const document = documentOf('fedramp-high', 'sealed').replace('[keycloak]\n', '[keycloak]\nfips_mode = true\n');
  await world.apply(document);
  const left = await world.steps(document);
  const id = await world.person('sealed', 'careful');
  const [credential] = await world.admin.get<{ credentialData: string }[]>(`/sealed/users/${id}/credentials`);
  const party = world.party('sealed', 'portal');
  const browser = world.browser();
  const { url, verifier } = await party.authorization();
  const enrol = await answer(browser, await browser.open(url, callback), { username: 'careful', password });
  const secret = formOf(enrol.text)?.fields['totpSecret'] ?? '';
  const enrolled = await answer(browser, enrol, { totp: totp(secret, Date.now()), userLabel: 'test' });
  const { status, body } = await party.redeem(new URL(enrolled.location ?? ''), verifier);
  const claims = JSON.parse(Buffer.from(String(body['access_token']).split('.')[1] ?? '', 'base64url').toString()) as {
    cnf?: Record<string, string>;
  };
  return {
    left,
    hashing: (JSON.parse(credential?.credentialData ?? '{}') as { algorithm?: string }).algorithm,
    status,
    bound: Object.keys(claims.cnf ?? {}),
  };
}

if (import.meta.main) {
  const folder = mkdtempSync(join(tmpdir(), 'postern-fips-'));
  try {
    const world = await openLiveWorld({ distribution: await builtForFips(folder) });
    try {
      const found = await logInUnderFips(world);
      const wanted = { left: [], hashing: 'pbkdf2-sha512', status: 200, bound: ['x5t#S256'] };
      console.log(found);
      process.exitCode = JSON.stringify(found) === JSON.stringify(wanted) ? 0 : 1;
    } finally {
      await world.close();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
