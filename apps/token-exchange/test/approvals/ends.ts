import { expect, test } from '@jest/globals';
import { watchTlsMaterial } from '@postern/mtls';
import { openAudit } from '@postern/outbox';
import { openPostgres } from '@postern/postgres';
import { silentLogger } from '@postern/runtime';
import { expireApprovals } from '../../src/approvals/expire-approvals.ts';
import type { Schema } from '../../src/db/schema.ts';
import { APPROVE, asks, clock, decide, grantOf, inForce, job, wait, world } from './scene.ts';

/** What becomes of a request as time passes. */
export function ends(): void {
  test('long poll: with Prefer: wait the answer comes when somebody has decided, not when the time is over', async () => {
    await inForce({});
    const { body } = await asks();
    wait(6);
    const form = new URLSearchParams({
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: await grantOf(),
      subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      audience: 'key-proxy',
      scope: 'secrets:read',
    });
    const polled = (prefer: string) =>
      job.call('/token', {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded', prefer },
        body: form.toString(),
      });
    const began = Date.now();
    const waiting = polled('wait=25');
    expect(await decide(body['approval_id'], APPROVE)).toMatchObject({ status: 200 });
    expect(await waiting).toMatchObject({ status: 200, body: { scope: 'secrets:read' } });
    expect(Date.now() - began).toBeLessThan(20_000);

    // Nobody decides: the answer is the same as without the header, a second later.
    wait(6);
    expect((await polled('respond-async, wait=1')).body).toMatchObject({ error: 'authorization_pending' });
  });

  test('the round ends what nobody decided, and what nobody used, in time, and each end is an event', async () => {
    await inForce({});
    const [undecided, unused] = [await asks('secrets:read'), await asks('secrets:write')];
    await decide(unused.body['approval_id'], APPROVE);
    wait(86_000);
    const young = await asks('secrets:read secrets:write');
    wait(401);
    // More than one look takes, and than the rounds below have looks if each had one.
    await world.query(
      `insert into approvals select (jsonb_populate_record(a, jsonb_build_object('id', gen_random_uuid(), 'binding', 'copy ' || n))).*
       from approvals a, generate_series(1, 350) n where a.id = $1`,
      [undecided.body['approval_id']],
    );
    const ids = [undecided, unused, young].map(({ body }) => String(body['approval_id']));
    const { POSTERN_TLS_CERT_PATH: cert, POSTERN_TLS_KEY_PATH: key, POSTERN_TLS_CA_PATH: ca } = world.env;
    const tls = await watchTlsMaterial({ cert, key, ca });
    const postgres = await openPostgres<Schema>({ url: world.database.url, tls, applicationName: 'round' });
    const audit = await openAudit({ postgres, producer: 'token-exchange', logger: silentLogger() });
    const round = () =>
      expireApprovals({
        db: postgres.db,
        recordWithin: (tx, event) => audit.within(tx, event),
        now: () => new Date(Date.now() + clock * 1000),
      });
    try {
      await Promise.all([round(), round()]);
      await round();
    } finally {
      await audit.close();
      await postgres.close();
      await tls.close();
    }
    const copies = await world.query("select distinct state from approvals where binding like 'copy %'");
    expect(copies).toEqual([{ state: 'expired' }]);
    const rows = await world.query<{ id: string; state: string; approved_scopes: unknown }>(
      'select id, state, approved_scopes from approvals where id = any($1::uuid[])',
      [ids],
    );
    const states = ids.map((id) => rows.find((row) => row.id === id)).map((row) => [row?.state, row?.approved_scopes]);
    expect(states).toEqual([
      ['expired', null],
      ['expired', null],
      ['pending', null],
    ]);
    const events = (await world.query<{ canonical: Buffer }>('select canonical from audit_outbox'))
      .map(({ canonical }) => JSON.parse(canonical.toString()) as { action: string; resource?: { id: string } })
      .filter(({ action, resource }) => action === 'approval.expired' && ids.includes(resource?.id ?? ''));
    expect(events.map(({ resource }) => resource?.id).toSorted()).toEqual(ids.slice(0, 2).toSorted());
    expect((await asks('secrets:read')).body).toMatchObject({ error: 'expired_token' });
    expect((await asks('secrets:write')).body).toMatchObject({ error: 'expired_token' });
  });

  test('a request that ended between two polls is told so once', async () => {
    await inForce({});
    const { body } = await asks();
    wait(60);
    const at = new Date(Date.now() + clock * 1000);
    await world.query(`update approvals set state = 'expired', ended_at = $2 where id = $1`, [body['approval_id'], at]);
    wait(6);
    expect((await asks()).body).toMatchObject({ error: 'expired_token' });
    expect((await asks()).body).toMatchObject({ error: 'authorization_pending' });
  });

  test('a remembered approval serves the same request until its time is over', async () => {
    await inForce({ rememberSeconds: 600 });
    const { body } = await asks();
    await decide(body['approval_id'], APPROVE);
    expect((await asks()).status).toBe(200);
    wait(300);
    expect((await asks()).status).toBe(200);
    wait(301);
    expect((await asks()).body).toMatchObject({ error: 'authorization_pending' });
  });
}
