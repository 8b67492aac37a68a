import { leaksOf, newCanary } from '@postern/testing';
import { type Case, type Scale } from '../assess.ts';
import { databaseDump, diskDump, redisDump } from './dumps.ts';
import { openStoreWorld } from './store-world.ts';

const RECORDS: Record<Scale, number> = { small: 20, default: 300, full: 10_000 };
const AT_ONCE = 20;

/** Payloads, metadata and keys of records are looked for in what a thief of either store has, without the root key. */
export const stolenDumps: Case = {
  name: 'crypto-store/stolen-dumps',
  guarantee: 'a dump of the database, its disk or Redis shows no payload, no metadata and no key of a record',
  async run({ scale, say }) {
    const world = await openStoreWorld();
    try {
      const replica = await world.replica();
      const { postern, as } = await replica.clientOf('job');
      const canaries: string[] = [];
      for (let at = 0; at < RECORDS[scale]; at += AT_ONCE) {
        await Promise.all(
          Array.from({ length: Math.min(AT_ONCE, RECORDS[scale] - at) }, async (_, n) => {
            const [inKey, inPayload, inMetadata] = [newCanary(), newCanary(), newCanary()];
            const key = `${inKey}/${n}`;
            await postern.records.put(key, n % 2 ? inPayload : Buffer.from(inPayload), as, {
              metadata: { m: inMetadata },
            });
            await postern.records.put(key, `${inPayload} again`, as);
            const { text } = await postern.records.get(key, as, { version: 1 });
            if (!text.includes(inPayload)) throw new Error('a record came back as another');
            canaries.push(inKey, inPayload, inMetadata);
          }),
        );
      }
      const dumps = [await databaseDump(world), await diskDump(world), await redisDump(world)];
      // The search finds what is there: the namespace stands in clear in a table, and its entries in the cache.
      const all = dumps.flatMap((dump) => [...dump]);
      const blind = [
        ...(all.some(([place, text]) => place.includes('public.records') && text.includes('job'))
          ? []
          : ['no table was read']),
        ...(all.some(([place]) => place.startsWith('cache crypto-store:record:')) ? [] : ['no cache was read']),
        ...(all.some(([place]) => place.startsWith('file pg_wal/')) ? [] : ['no file was read']),
      ];
      const found = all.flatMap(([place, text]) => canaries.flatMap((canary) => leaksOf(canary, place, text)));
      const bytes = all.reduce((sum, [, text]) => sum + text.length, 0);
      say(
        `${canaries.length} canaries looked for in ${all.length} places, ${(bytes / 2 ** 20).toFixed(0)} MiB: ${found.length} found`,
      );
      return { tried: canaries.length, failed: [...blind, ...found], lost: [] };
    } finally {
      await world.close();
    }
  },
};
