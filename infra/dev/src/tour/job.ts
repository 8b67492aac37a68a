import { workloadToken } from '@postern/cli';
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';

import { type Stack } from '../stack.ts';
import { call } from './call.ts';
import { type Cast } from './cast.ts';
import { describe, expect, type Play } from './row.ts';

const CACHE_READS = 50;

/** A grant token and its type, as exchanges take them. */
export type GrantSubject = { token: string; type: string };

/** Rows 4 to 6: the job logs itself in and gets a token of the grant that alice consented to. */
export async function grantToken({ state }: Stack, { job }: Cast, grant: string, play: Play): Promise<GrantSubject> {
  const w = await play('job logs itself in', async () => {
    const value = await workloadToken({ issuer: state.issuer, clientId: 'job', postern: job });
    return { value, outcome: `W: ${describe(value)}` };
  });
  const m2 = await play('job exchanges W', async () => {
    const { accessToken } = await job.exchange({ subjectToken: w, audience: 'auth-manager', scopes: ['grants:use'] });
    return { value: accessToken, outcome: `M2: ${describe(accessToken)}` };
  });
  return play("job asks for the grant's token", async () => {
    const { access_token: value, issued_token_type: type } = await job.grants.accessToken(grant, { token: m2 });
    return { value: { token: value, type }, outcome: `G: ${describe(value)}` };
  });
}

/** A cache that does not answer in time is passed over, as on a busy machine: what was read then is there for the next read. */
async function readFromCache<Read extends { source: string }>(read: () => Promise<Read>): Promise<Read> {
  for (let left = CACHE_READS - 1; ; left -= 1) {
    const found = await read();
    if (found.source === 'cache' || left === 0) return found;
    await delay(200);
  }
}

/** Rows 7 to 9: the least scope, a step-up at the moment it is needed, a record and a secret. */
export async function work(stack: Stack, { job }: Cast, g: GrantSubject, play: Play): Promise<void> {
  const { urls } = stack.state;
  const payload = `tour ${randomBytes(12).toString('hex')}`;
  const record = { key: `tour-${randomBytes(4).toString('hex')}`, payload };

  const t = await play('job exchanges G, is refused a write, steps up', async () => {
    const asked = { subjectToken: g.token, subjectTokenType: g.type, audience: 'crypto-store' };
    const read = await job.exchange({ ...asked, scopes: ['records:read'] });
    const refused = await call(job, 'POST', `${urls['crypto-store'].api}/store`, {
      token: read.accessToken,
      json: record,
    });
    expect(refused.status === 403, `403 for a write with records:read, got ${refused.status}`);
    expect(/insufficient_scope/.test(refused.headers['www-authenticate'] ?? ''), 'insufficient_scope in the challenge');
    const both = await job.exchange({ ...asked, scopes: ['records:read', 'records:write'] });
    return { value: both.accessToken, outcome: `T: ${describe(both.accessToken)}` };
  });

  await play('job stores and reads a record', async () => {
    await job.records.store(record, { token: t });
    const first = await readFromCache(() => job.records.retrieve(record.key, { token: t }));
    await stack.flush('cache');
    const second = await job.records.retrieve(record.key, { token: t });
    expect(first.payload === payload && second.payload === payload, 'the stored payload twice');
    expect(
      first.source === 'cache' && second.source === 'db',
      `cache then db, got ${first.source} then ${second.source}`,
    );
    return { value: undefined, outcome: 'read from the cache, then (cache emptied) from the database' };
  });

  await play('job keeps a secret through key-proxy', async () => {
    const asked = { subjectToken: g.token, subjectTokenType: g.type, audience: 'key-proxy' };
    const scopes = ['secrets:read', 'secrets:write'];
    const { accessToken: token } = await job.exchange({ ...asked, scopes });
    const name = `tour-${randomBytes(4).toString('hex')}`;
    await job.secrets.create({ name, value: payload }, { token });
    const opened = (await job.secrets.open({ token })).find((secret) => secret.name === name);
    expect(opened?.value === payload, 'the secret as it was stored');
    return { value: undefined, outcome: "T': key-proxy acted for job, which acted for alice" };
  });
}
