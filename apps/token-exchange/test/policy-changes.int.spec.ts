import { setTimeout as wait } from 'node:timers/promises';
import { migrate, openPostgres } from '@postern/postgres';
import { postgresForTests } from '@postern/testing';
import { expect, test } from '@jest/globals';
import type { Transaction } from 'kysely';
import { migrationSets } from '../src/db/migration-sets.ts';
import type { Schema } from '../src/db/schema.ts';
import { openPolicyStore } from '../src/policy/policy-store.ts';
import { policy } from './token-exchange.ts';

const MINTING = 24;
/** Far longer than a change takes, which is milliseconds. */
const LONGEST_MS = 30_000;

test('R33: a change of the policy comes in its turn while exchanges are committed one upon the other, without a pause', async () => {
  const server = await postgresForTests();
  const database = await server.createDatabase({ service: 'token-exchange' });
  const { url, ownerUrl, tls, serviceRole } = database;
  await migrate({ url: ownerUrl, tls, sets: migrationSets, serviceRole });
  const postgres = await openPostgres<Schema>({
    url,
    tls,
    applicationName: 'policy-changes',
    poolSize: MINTING + 2,
  });
  const { db, query } = postgres;
  const inTransaction = <T>(work: (tx: Transaction<Schema>) => Promise<T>) => db.transaction().execute(work);
  const now = () => new Date();
  try {
    const policies = await openPolicyStore({ query, inTransaction, file: policy, now });
    const before = policies.held();
    const from = Date.now();
    let changed = false;
    let begun = 0;
    const minting = Array.from({ length: MINTING }, async () => {
      for (; !changed && Date.now() - from < LONGEST_MS;) {
        await inTransaction(async (tx) => {
          await policies.isNewest(tx, before);
          begun += 1;
          await wait(5 + 15 * Math.random());
        });
      }
    });
    while (begun < MINTING) await wait(5);
    await inTransaction((tx) => policies.change(tx, () => Promise.resolve()));
    changed = true;
    expect(Date.now() - from).toBeLessThan(LONGEST_MS);
    await Promise.all(minting);
    // Who decided by the one before is told.
    expect(await inTransaction((tx) => policies.isNewest(tx, before))).toBe(false);
  } finally {
    await postgres.close();
    await database.drop();
    await server.close();
  }
});
