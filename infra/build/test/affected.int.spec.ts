import { spawnSync } from 'node:child_process';

import { expect, test } from '@jest/globals';

/** The projects that a change of this file touches, itself and its dependants. */
function affectedBy(file: string): string[] {
  const nx = spawnSync('node_modules/.bin/nx', ['show', 'projects', '--affected', `--files=${file}`, '--json'], {
    env: { ...process.env, NX_DAEMON: 'false', NX_TUI: 'false' },
    encoding: 'utf8',
  });
  if (nx.status !== 0) throw new Error(nx.stderr);
  return JSON.parse(nx.stdout) as string[];
}

test('a change of a library affects it and all that lean on it, directly or not', () => {
  const affected = affectedBy('libs/runtime/src/secret.ts');
  for (const project of ['runtime', 'oidc', 'http', 'crypto-store', 'audit-sink', 'key-proxy', 'dev']) {
    expect(affected).toContain(`@postern/${project}`);
  }
  expect(affected).not.toContain('@postern/profile');
});

test('a change of an app affects no other app', () => {
  const affected = affectedBy('apps/key-proxy/src/app.ts');
  expect(affected).toContain('@postern/key-proxy');
  expect(affected).not.toContain('@postern/crypto-store');
});
