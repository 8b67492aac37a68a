import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { canonicalBytes, commitmentOf, entryLeaf, NO_PREVIOUS } from '@postern/audit';
import { migrate } from '@postern/postgres';
import { growEdge, leafHash, emptyEdge, rootOfEdge } from '@postern/transparency';
import { migrationSets } from '../src/db/migration-sets.ts';
import { signNewest } from '../src/log/checkpoints.ts';
import { assertConsistent } from '../src/log/assert-consistent.ts';
import { verifyLog } from './verify-log.ts';
import { sealEarlier } from '../src/subjects/seal-earlier.ts';
import { event, openKeys, openWorld, type World } from './world.ts';

let world: World;
const before = migrationSets.map((set) =>
  set.set === 'log'
    ? {
        set: 'log',
        steps: { '0001-log': set.steps['0001-log']!, '0002-fewer-checks': set.steps['0002-fewer-checks']! },
      }
    : set,
);

beforeAll(async () => {
  world = await openWorld({ sets: before });
});
afterAll(async () => {
  await world?.close();
});

/** Fills the tables as they were: batches of events, each with its receipt. */
async function fill(sizes: readonly number[]): Promise<number> {
  let edge = emptyEdge;
  let previous: Uint8Array = NO_PREVIOUS;
  let seq = 0;
  const nodes: [number, number, string][] = [];
  const statements: string[] = [];
  const hex = (bytes: Uint8Array) => `'\\x${Buffer.from(bytes).toString('hex')}'`;
  const append = (leaf: Uint8Array) => {
    const hash = leafHash(leaf);
    nodes.push([0, edge.size, hex(hash)]);
    edge = growEdge(edge, [hash], (node) => nodes.push([node.level, node.index, hex(node.hash)]));
    return hash;
  };
  for (const size of sizes) {
    for (let i = 0; i < size; i += 1) {
      const one = event();
      const [salt, canonical] = [randomBytes(32), canonicalBytes(one)];
      seq += 1;
      const commitment = commitmentOf(salt, canonical);
      const leaf = entryLeaf({ producer: 'crypto-store', epoch: 1, seq, previous }, { ...one, commitment });
      const index = edge.size;
      previous = append(leaf);
      statements.push(
        `insert into log_entries values (${index}, 'entry', 'crypto-store', 1, ${seq}, '${one.id}', ${hex(leaf)}, now())`,
        `insert into log_events values ('${one.id}', ${index}, 'acme', 'record.read', '${one.time}', ${hex(salt)}, ${hex(canonical)}, null,
          ${canonical.length}, sha256(${hex(canonical)}))`,
      );
    }
    const receipt = Buffer.from(JSON.stringify({ kind: 'batch', id: randomUUID() }));
    const index = edge.size;
    append(receipt);
    statements.push(
      `insert into log_entries values (${index}, 'batch', 'crypto-store', 1, ${seq}, null, ${hex(receipt)}, now())`,
      `insert into log_batches values (${index}, 'header', '\\x00', '\\x01')`,
    );
  }
  statements.push(
    ...nodes.map(([level, index, hash]) => `insert into log_nodes values (${level}, ${index}, ${hash})`),
    `update log_head set size = ${edge.size}, root = ${hex(rootOfEdge(edge))}`,
    `insert into log_checkpoints (tree_size, root) values (${edge.size}, ${hex(rootOfEdge(edge))})`,
    `insert into log_watermarks values ('crypto-store', 1, ${seq}, ${hex(previous)}, ${edge.size - 2})`,
  );
  await world.asOwner(statements.join(';\n'));
  return edge.size;
}

test('a log of the tables before is carried over whole: it verifies, and its events are sealed', async () => {
  const size = await fill([3, 500, 1, 120]);
  await migrate({ ...world.owner, sets: migrationSets });
  const { query } = world.log;
  const keys = await openKeys(world);
  await assertConsistent(query, keys.key);
  await signNewest(query, keys.key);
  await sealEarlier(world.log, keys.subjects);
  expect(await verifyLog(query, keys)).toBe(size);
  expect(await query('select count(*)::int as n from log_unsealed')).toEqual([{ n: 0 }]);
  expect(
    await query('select count(*)::int as n from log_every_event where sealed is not null and subject is not null'),
  ).toEqual([{ n: 624 }]);
  keys.close();
});
