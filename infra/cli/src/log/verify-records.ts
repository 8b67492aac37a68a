import { LogAltered } from '@postern/transparency';
import { type LiveLog } from './live-log.ts';
import { verifyWhole } from './verify-whole.ts';

type Stored = { id: string; version: number; newest: boolean; ciphertext_hash: string | null };
type Event = {
  action: string;
  outcome: string;
  resource?: { id: string; version?: number };
  details: { ciphertextHash?: string; part?: string };
};

const PAGE = 200;
/** After these a version may be gone. */
const ENDS = new Set(['record.deleted', 'record.destroyed']);

/**
 * Holds every version of every record against the log's last write of it (R34): a row that was put back to an older state,
 * alone or with its whole database, differs from what the log, verified first, says was written.
 *
 * @throws LogAltered `record_differs`, `record_unknown_to_log` or `record_rolled_back`, with the record's id
 */
export async function verifyRecords(live: LiveLog, logKey: string): Promise<{ records: number; writes: number }> {
  await verifyWhole(await live.log(), logKey);
  // The store first: what is written meanwhile is in the log and not in the list, and not the other way round.
  const stored = await all<Stored>('hashes', (cursor) =>
    live.get('crypto-store', `/v1/record-hashes?limit=${PAGE}${cursor ? `&cursor=${cursor}` : ''}`, 'records:audit'),
  );
  const newest = new Map(stored.filter((row) => row.newest).map((row) => [row.id, row.version]));
  const events = await all<Event>('events', (cursor) =>
    live.get('audit-sink', `/v1/events?limit=${PAGE}${cursor ? `&after=${cursor}` : ''}`, 'audit:read'),
  );
  const written = new Map<string, Map<number, string>>();
  const ended = new Set<string>();
  for (const { action, outcome, resource, details } of events) {
    if (outcome !== 'success' || resource?.id === undefined) continue;
    if (ENDS.has(action)) ended.add(resource.id);
    const seals = action === 'record.written' || (action === 'record.rewrapped' && details.part === 'version');
    if (!seals || resource.version === undefined) continue;
    const versions = written.get(resource.id) ?? new Map<number, string>();
    written.set(
      resource.id,
      versions.set(resource.version, details.ciphertextHash ?? versions.get(resource.version) ?? ''),
    );
  }
  for (const { id, version, ciphertext_hash: hash } of stored) {
    if (hash === null) continue;
    const logged = written.get(id)?.get(version);
    if (logged === undefined) throw new LogAltered(`record_unknown_to_log ${id} version ${version}`);
    // A write that was repeated has no hash of its own in its event.
    if (logged !== '' && logged !== hash) throw new LogAltered(`record_differs ${id} version ${version}`);
  }
  const known = new Set(stored.map(({ id }) => id));
  for (const [id, versions] of written) {
    const last = Math.max(...versions.keys());
    const standsAt = newest.get(id) ?? (known.has(id) ? last : 0);
    if (standsAt < last && !ended.has(id)) throw new LogAltered(`record_rolled_back ${id} from version ${last}`);
  }
  return { records: known.size, writes: [...written.values()].reduce((sum, { size }) => sum + size, 0) };
}

/** Every item of a list that comes in pages. */
async function all<T>(name: string, read: (cursor: string | undefined) => Promise<Buffer | null>): Promise<T[]> {
  const items: T[] = [];
  for (let cursor: string | undefined; ;) {
    const bytes = await read(cursor);
    const page = JSON.parse(bytes?.toString('utf8') ?? '{}') as Record<string, T[]> & { next?: string | null };
    items.push(...(page[name] ?? []));
    if (!page.next) return items;
    cursor = page.next;
  }
}
