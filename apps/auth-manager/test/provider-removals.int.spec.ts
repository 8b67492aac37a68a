import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Transaction } from 'kysely';
import { Secret, uuidv7 } from '@postern/runtime';
import type { Schema } from '../src/db/schema.ts';
import { storeGrant } from '../src/grants/store-grant.ts';
import { keepRegistered } from '../src/provider/keep-registered.ts';
import { heldKeys, makeNextKey } from '../src/provider/service-keys.ts';
import { SCOPES } from './consents.ts';
import { openProviderSide } from './provider-side.ts';
import { openSecondRealm, type SecondRealm } from './second-realm.ts';
import { waitsForLock } from './waits-for-lock.ts';

let realm: SecondRealm;
let world: SecondRealm['world'];
let ask: SecondRealm['ask'];

beforeAll(async () => {
  realm = await openSecondRealm();
  ({ world, ask } = realm);
});
const closes: (() => unknown)[] = [];
afterAll(async () => {
  for (const close of closes.toReversed()) await close();
  await realm?.close();
});

/** A provider of globex that no grant is of yet. */
async function registered(): Promise<{ id: string; provider: string }> {
  const one = { id: uuidv7(), provider: `https://${uuidv7()}.example` };
  await world.query(
    `insert into providers (id, tenant, issuer, client_id, name, scopes, created_at, updated_at)
     values ($1, 'globex', $2, 'auth-manager', 'x', '{}', now(), now())`,
    [one.id, one.provider],
  );
  return one;
}

test('a provider whose consent is being finished is not removed under it: the grant is kept, and so is the provider', async () => {
  const side = await openProviderSide(world);
  closes.push(side.close);
  const grantAt = (tx: Transaction<Schema>, provider: string) =>
    storeGrant({ vault: side.vault, keepRegistered: keepRegistered('https://operators.example') }, tx, {
      owner: { tenant: 'globex', issuer: provider, sub: 'alice' },
      provider,
      client: 'auth-manager',
      session: uuidv7(),
      kind: 'offline',
      scopes: SCOPES,
      acr: null,
      authTime: null,
      token: new Secret('a token'),
      now: new Date(),
    });

  // The consent was first: who removes waits for it, and finds the grant.
  const first = await registered();
  const removed = await world.db.transaction().execute(async (tx) => {
    await grantAt(tx, first.provider);
    const removing = ask(`/${first.id}`, { method: 'DELETE' });
    await waitsForLock(world.query, removing);
    return { removing };
  });
  expect((await removed.removing).body['code']).toBe('provider_in_use');

  // The removal was first: the consent waits for it, and stores nothing.
  const second = await registered();
  const stored = await world.db.transaction().execute(async (tx) => {
    await tx.deleteFrom('providers').where('id', '=', second.id).execute();
    const storing = world.db.transaction().execute((other) => grantAt(other, second.provider));
    await waitsForLock(world.query, storing);
    return { storing };
  });
  await expect(stored.storing).rejects.toMatchObject({ code: 'provider_not_found' });
  expect(await world.query('select 1 from grants where provider = $1', [second.provider])).toEqual([]);
});

test('a provider at which a code is being redeemed is not removed, until that consent has expired', async () => {
  const { id: at, provider } = await registered();
  await world.query(
    `insert into consents (id, tenant, person_issuer, person_sub, started_by, provider, scopes, handle_workload, handle_audiences,
       handle_scopes, state, created_at, expires_at)
     values ($1, 'globex', $2, 'alice', 'portal', $2, '{a}', 'job', '{b}', '{a}', 'redeeming', now(), now() + interval '10 minutes')`,
    [uuidv7(), provider],
  );
  expect((await ask(`/${at}`, { method: 'DELETE' })).body['code']).toBe('provider_in_use');
  await world.query('update consents set expires_at = now() where provider = $1', [provider]);
  expect((await ask(`/${at}`, { method: 'DELETE' })).status).toBe(204);
});

test('two who rotate a key at once make two keys, and each is told of its own', async () => {
  const side = await openProviderSide(world);
  closes.push(side.close);
  const at = { tenant: 'globex', provider: (await registered()).provider };
  const deps = { db: world.db, vault: side.vault, now: () => new Date() };
  await heldKeys(deps, at, 'client');
  const next = (tx: Transaction<Schema>) => makeNextKey(tx, deps, at, { use: 'client', activeFrom: new Date() });
  const { first, second } = await world.db.transaction().execute(async (tx) => {
    const made = await next(tx);
    const other = world.db.transaction().execute(next);
    await waitsForLock(world.query, other);
    return { first: made, second: other };
  });
  expect([first, await second]).toEqual([2, 3]);
  expect(await world.query('select 1 from provider_keys where provider = $1', [at.provider])).toHaveLength(3);
});
