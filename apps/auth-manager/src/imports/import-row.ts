import { newEvent, type AuditEvent } from '@postern/audit';
import type { Audit } from '@postern/outbox';
import type { Kysely } from 'kysely';
import { type Now, Problem } from '@postern/runtime';
import type { Schema } from '../db/schema.ts';
import { type Owner, ownedBy } from '../grants/grant.ts';
import { isCertificateBound, judgeToken } from '../grants/judge-token.ts';
import { recoveryOf } from '../grants/recovery.ts';
import { storeGrant, type StoreGrant } from '../grants/store-grant.ts';
import type { Introspected, ProviderCalls } from '../provider/provider-calls.ts';
import { type ImportHeader, openRow, readRow, type RowRefusal, type VaultRow } from './vault-row.ts';

export type ImportRow = StoreGrant & { db: Kysely<Schema>; audit: Pick<Audit, 'within'>; now: Now };

/** What all rows of one import have in common. */
export type ImportOf = {
  header: ImportHeader;
  tenant: string;
  provider: ProviderCalls;
  /** How many grants the tenant may have; absent: there is no quota. */
  mostGrants?: number | undefined;
  /** Who imports, as it is recorded. */
  actor: AuditEvent['actor'];
};

export type RowResult =
  | { outcome: 'imported' | 'already'; row: string; grant: string }
  | { outcome: 'importable'; row: string }
  | { outcome: 'refused'; row: string | null; reason: RowRefusal };

const kinds = { OFFLINE: 'offline', REFRESH: 'refresh' } as const;

/** What the provider says against a row's token: R18, and R9 for its binding. Null for nothing. */
function judge(said: Introspected, row: VaultRow, at: { issuer: string; client: string }): RowRefusal | null {
  if (!said.active) return 'not_active';
  if (said.client !== at.client) return 'other_client';
  if (said.issuer !== at.issuer || said.sub !== row.user_id) return 'other_person';
  if (said.kind !== kinds[row.token_type]) return 'other_kind';
  return said.certificateBound ? 'certificate_bound_token' : null;
}

/**
 * Takes one row of the old store: opened with its key, asked about at the provider (our client, active, the same person,
 * R18), not bound to a certificate (R9), and stored like any other grant, with its event in the same transaction. A grant
 * of the same session that is active already is left alone: its token is newer than an export. A dry run does all of that
 * but the storing.
 */
export async function importRow(deps: ImportRow, of: ImportOf, line: string): Promise<RowResult> {
  const row = readRow(line);
  if (!row) return { outcome: 'refused', row: null, reason: 'malformed' };
  const refused = (reason: RowRefusal): RowResult => ({ outcome: 'refused', row: row.id, reason });
  const token = openRow(row, of.header.key);
  if (token === 'undecryptable' || token === 'hash_mismatch') return refused(token);
  if (isCertificateBound(token)) return refused('certificate_bound_token');
  const { provider, tenant, header } = of;
  try {
    const client = await provider.clientId();
    const said = await provider.introspect(token);
    const against = judge(said, row, { issuer: provider.issuer, client });
    if (against !== null) return refused(against);
    const owner: Owner = { tenant, issuer: provider.issuer, sub: row.user_id };
    const judged = judgeToken(token, said, { owner, client, now: deps.now() });
    const session = said.session ?? row.session_state_id ?? '';
    const identity = { ...ownedBy(owner), provider: provider.issuer, client, session, kind: judged.kind };
    return await deps.db.transaction().execute(async (tx) => {
      const held = await tx
        .selectFrom('grants')
        .select(['id', 'state'])
        .where((one) => one.and(identity))
        .forUpdate()
        .executeTakeFirst();
      if (held?.state === 'active') return { outcome: 'already' as const, row: row.id, grant: held.id };
      if (held?.state === 'revoking') return refused('being_revoked');
      if (header.dry_run) return { outcome: 'importable' as const, row: row.id };
      const { scopes, handle } = header;
      const { mostGrants } = of;
      const grant = { ...judged, owner, provider: provider.issuer, client, session, scopes, handle, token, mostGrants };
      const stored = await storeGrant(deps, tx, { ...grant, now: deps.now() });
      const { id } = stored;
      const by = { outcome: 'success' as const, reason: 'imported', tenant, actor: of.actor };
      const draft = {
        ...by,
        action: 'grant.stored' as const,
        resource: { type: 'grant', id },
        details: { provider: provider.issuer, scopes: [...scopes], offline: judged.kind === 'offline' },
      };
      await deps.audit.within(tx, newEvent(draft, deps.now()));
      if (stored.recovered)
        await deps.audit.within(tx, newEvent({ ...by, ...recoveryOf(stored, provider.issuer) }, deps.now()));
      return { outcome: 'imported' as const, row: row.id, grant: id };
    });
  } catch (error) {
    if (error instanceof Problem && error.code.startsWith('provider_')) return refused('provider_unavailable');
    if (error instanceof Problem && error.code === 'quota_exceeded') return refused(error.code);
    throw error;
  }
}
