import { byteStream, quotaOf, route } from '@postern/http';
import type { Principal } from '@postern/oidc';
import { problem } from '@postern/runtime';
import { type ImportOf, importRow, type ImportRow, type RowResult } from '../imports/import-row.ts';
import { linesOf } from '../imports/lines.ts';
import { type ImportHeader, importHeader } from '../imports/vault-row.ts';
import { ownerOf } from '../grants/owner-of.ts';
import { beginGrantCount } from '../grants/grant-quota.ts';
import type { Providers } from '../provider/open-providers.ts';
import type { ProviderOf } from '../provider/provider-calls.ts';

export type ImportGrants = ImportRow & {
  providers: Pick<Providers, 'find'>;
  providerOf: ProviderOf;
  workloads: ReadonlySet<string>;
};

const MOST_ROWS = 100_000;

/**
 * Takes over the tokens of an `auth_vault` table. The body is lines of JSON: a header, then a row each. The answer is
 * lines too, one for each row as it is done, and a last one with the counts. Sent again, what was taken is `already`; with
 * `dry_run` in the header nothing is stored.
 */
export const importGrantsRoute = (deps: ImportGrants) =>
  route({
    method: 'POST',
    path: '/v1/admin/imports',
    listener: 'api',
    summary: 'Take over tokens from an auth_vault table: NDJSON in, a report as NDJSON out',
    scope: 'grants:write',
    role: 'admin',
    audit: 'grants.imported',
    tier: 'sensitive',
    consumes: 'stream',
    body: byteStream,
    answers: { 200: 'stream' },
    produces: 'application/x-ndjson',
    problems: ['person_required', 'other_provider', 'handle_workload_unknown', 'handle_exceeds_consent'],
    async handle({ principal, body }, audit) {
      const lines = linesOf(body);
      const of = await importOf(deps, principal, await lines.next());
      const counts = { imported: 0, importable: 0, already: 0, refused: 0 };
      const provider = of.provider.issuer;
      const reason = of.header.dry_run ? { reason: 'dry_run' } : {};
      const about = () => ({ ...reason, details: { provider, imported: counts.imported, refused: counts.refused } });
      const source = { source: report(deps, of, lines, counts), contentType: 'application/x-ndjson' };
      const released = await audit.streamed({ ...reason, details: { provider } }, source, about);
      if (released === null) throw problem('audit_unavailable');
      return released;
    },
  });

/** @throws Problem `invalid_input` naming what is wrong in the header, never a value of it. */
function readHeader(line: IteratorResult<string, void>): ImportHeader {
  let said: unknown = null;
  try {
    said = JSON.parse(line.done === true ? '' : line.value);
  } catch {
    throw problem('malformed_json');
  }
  const parsed = importHeader.safeParse(said);
  if (parsed.success) return parsed.data;
  const fields = parsed.error.issues.map(({ path, code }) => ({ field: ['header', ...path].join('.'), rule: code }));
  throw problem('invalid_input', { fields });
}

async function importOf(
  { db, providers, providerOf, workloads }: ImportGrants,
  principal: Principal,
  first: IteratorResult<string, void>,
): Promise<ImportOf> {
  const { tenant, issuer, sub } = ownerOf(principal);
  const header = readHeader(first);
  const at = await providers.find({ tenant, issuer: header.provider ?? issuer });
  // The operator's provider names the persons of one tenant, that of its own administrators (R1).
  const foreign = at !== null && header.provider !== undefined && header.provider !== issuer;
  if (at === null || (foreign && !at.registered)) throw problem('other_provider');
  if (!workloads.has(header.handle.workload)) throw problem('handle_workload_unknown');
  if (header.handle.scopes.some((scope) => !header.scopes.includes(scope))) throw problem('handle_exceeds_consent');
  const mostGrants = quotaOf(principal, 'auth-manager').grants;
  if (mostGrants !== undefined) await beginGrantCount(db, tenant);
  const actor = { person: { issuer, sub }, client: principal.clientId };
  return { header, tenant, provider: providerOf({ tenant, provider: at.provider }), mostGrants, actor };
}

async function* report(
  deps: ImportGrants,
  of: ImportOf,
  lines: AsyncGenerator<string, void>,
  counts: Record<RowResult['outcome'], number>,
): AsyncGenerator<string> {
  let rows = 0;
  for await (const line of lines) {
    if (line === '') continue;
    if (++rows > MOST_ROWS) throw problem('payload_too_large');
    const result = await importRow(deps, of, line);
    counts[result.outcome] += 1;
    yield `${JSON.stringify(result)}\n`;
  }
  yield `${JSON.stringify({ summary: counts })}\n`;
}
