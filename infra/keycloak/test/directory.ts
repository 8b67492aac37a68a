import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { freePort, startLeashed } from '@postern/testing';
import { installedProgram } from '@postern/testing/debian';

const run = promisify(execFile);
const READY_MS = 60_000;

export const directoryProgram = (): Promise<string> => installedProgram('slapd', { of: 'slapd' });
export type Directory = Awaited<ReturnType<typeof startDirectory>>;

const suffix = 'dc=live,dc=example';

/** OpenLDAP over TLS on loopback, with the people that are given. It ends with this process. */
export async function startDirectory(
  program: string,
  tls: { cert: string; key: string; ca: string },
  people: readonly { uid: string; mail: string; password: string }[],
) {
  const folder = mkdtempSync(join(tmpdir(), 'postern-directory-'));
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };
  const bind = { dn: `cn=reader,${suffix}`, password: 'the-reader-of-the-directory' };
  mkdirSync(join(folder, 'data'));
  const settings = file(
    'slapd.conf',
    [
      ...['core', 'cosine', 'inetorgperson'].map((name) => `include /etc/ldap/schema/${name}.schema`),
      'modulepath /usr/lib/ldap',
      'moduleload back_mdb',
      `pidfile ${join(folder, 'slapd.pid')}`,
      `TLSCACertificateFile ${file('ca.crt', tls.ca)}`,
      `TLSCertificateFile ${file('tls.crt', tls.cert)}`,
      `TLSCertificateKeyFile ${file('tls.key', tls.key)}`,
      'database mdb',
      'maxsize 16777216',
      `suffix "${suffix}"`,
      `rootdn "${bind.dn}"`,
      `rootpw ${bind.password}`,
      `directory ${join(folder, 'data')}`,
      'index objectClass,uid eq',
      '',
    ].join('\n'),
  );
  const entries = [
    `dn: ${suffix}\nobjectClass: domain\ndc: live\n`,
    `dn: ou=people,${suffix}\nobjectClass: organizationalUnit\nou: people\n`,
    ...people.map(
      ({ uid, mail, password }) =>
        `dn: uid=${uid},ou=people,${suffix}\nobjectClass: inetOrgPerson\nuid: ${uid}\ncn: Live ${uid}\ngivenName: Live\nsn: ${uid}\nmail: ${mail}\nuserPassword: ${password}\n`,
    ),
  ];
  await run(program, ['-T', 'add', '-f', settings, '-l', file('people.ldif', entries.join('\n'))]);
  const port = await freePort();
  const server = startLeashed([program, '-d', '0', '-f', settings, '-h', `ldaps://127.0.0.1:${port}`], {
    logFile: join(folder, 'slapd.log'),
    stopSignal: 'TERM',
  });
  await Promise.race([listens(port), server.ended]);
  return {
    url: `ldaps://127.0.0.1:${port}`,
    usersDn: `ou=people,${suffix}`,
    bind,
    stop: () => server.stop(),
    close: async () => {
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function listens(port: number): Promise<void> {
  const deadline = Date.now() + READY_MS;
  for (;;) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false));
      socket.on('connect', () => socket.destroy());
    });
    if (open) return;
    if (Date.now() > deadline) throw new Error('slapd did not come up in time');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
