import { LogAltered } from '@postern/transparency';

/** A version of a record as crypto-store has it now (`GET /v1/record-hashes`). */
export type StoredVersion = { id: string; version: number; newest: boolean; ciphertext_hash: string | null };

/** What the log says of a record; events of anything else are passed over. */
export type RecordEvent = {
  action: string;
  outcome: string;
  resource?: { id: string; version?: number };
  details: { ciphertextHash?: string; part?: string; versions?: string[]; whole?: boolean };
};

export type JudgedRecords = {
  records: number;
  writes: number;
  /** Versions whose write the log no longer shows: it was erased with its person (R28), or is past its retention. */
  unjudged: number;
};

/**
 * Holds what is stored against what was written (R34). A version is sealed once, and again when it is rewrapped (R31). Versions
 * go by pruning, of which the newest is never part, and by destruction, of which the row stays: only a record that was destroyed
 * whole is in no list.
 *
 * @param complete whether the log still shows every event of the tenant.
 * @throws LogAltered `record_differs`, `record_unknown_to_log`, `record_put_back` or `record_rolled_back`, with the record's id
 */
export function judgeRecords(
  stored: readonly StoredVersion[],
  events: readonly RecordEvent[],
  complete: boolean,
): JudgedRecords {
  const { written, destroyed, gone } = historyOf(events);
  let unjudged = 0;
  for (const { id, version, ciphertext_hash: hash } of stored) {
    if (hash === null) continue;
    if (gone.has(id) || destroyed.has(`${id} ${version}`))
      throw new LogAltered(`record_put_back ${id} version ${version}`);
    const logged = written.get(id)?.get(version);
    if (logged === undefined && complete) throw new LogAltered(`record_unknown_to_log ${id} version ${version}`);
    if (logged === undefined) unjudged += 1;
    // A write that was repeated has no hash of its own in its event.
    else if (logged !== '' && logged !== hash) throw new LogAltered(`record_differs ${id} version ${version}`);
  }
  const newest = new Map(stored.filter((row) => row.newest).map((row) => [row.id, row.version]));
  for (const [id, versions] of written) {
    const last = [...versions.keys()].reduce((most, version) => Math.max(most, version), 0);
    if ((newest.get(id) ?? 0) < last && !gone.has(id))
      throw new LogAltered(`record_rolled_back ${id} from version ${last}`);
  }
  const writes = [...written.values()].reduce((sum, { size }) => sum + size, 0);
  return { records: new Set(stored.map(({ id }) => id)).size, writes, unjudged };
}

function historyOf(events: readonly RecordEvent[]) {
  const written = new Map<string, Map<number, string>>();
  const destroyed = new Set<string>();
  const gone = new Set<string>();
  for (const { action, outcome, resource, details } of events) {
    if (outcome !== 'success' || resource === undefined) continue;
    const { id, version } = resource;
    if (action === 'record.destroyed' && details.whole) gone.add(id);
    if (action === 'record.destroyed') for (const one of details.versions ?? []) destroyed.add(`${id} ${one}`);
    const seals = action === 'record.written' || (action === 'record.rewrapped' && details.part === 'version');
    if (!seals || version === undefined) continue;
    const versions = written.get(id) ?? new Map<number, string>();
    written.set(id, versions.set(version, details.ciphertextHash ?? versions.get(version) ?? ''));
  }
  return { written, destroyed, gone };
}
