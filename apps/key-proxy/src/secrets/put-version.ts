import { problem } from '@postern/runtime';
import { type OnBehalf } from '../providers/secret-provider.ts';
import { fingerprintOf } from './fingerprint.ts';
import { type HeldSecret } from './held-secret.ts';
import { type Owner } from './owner.ts';
import { lengthOf, type SecretValue } from './secret-value.ts';
import { runWrite, settleAbandoned } from './writes/run-write.ts';
import { type RunWrites } from './writes/run-write.ts';

/**
 * Writes a secret's next version. With `ifVersion` only over that one, at the provider too: there it may be that somebody
 * wrote past this service.
 *
 * @throws Problem `version_conflict`, `secret_deleted`, `secret_busy`; Problem of the provider port
 */
export async function putVersion(
  deps: RunWrites,
  secret: HeldSecret,
  asked: { owner: Owner; by: OnBehalf; value: SecretValue; ifVersion?: number | undefined; publicKey?: string | null },
  attempt: string,
): Promise<HeldSecret> {
  const { owner, by, value, ifVersion, publicKey = null } = asked;
  const { id, reference, state } = secret;
  if (state === 'deleted') throw problem('secret_deleted');
  await settleAbandoned(deps, id, by);
  const row = await deps.db
    .selectFrom('secrets')
    .select(['version', 'provider_version'])
    .where('id', '=', id)
    .executeTakeFirst();
  if (!row) throw problem('secret_not_found');
  if (ifVersion !== undefined && ifVersion !== row.version) throw problem('version_conflict');
  const fingerprint = await fingerprintOf(deps.branchKeys, { tenant: owner.tenant, id }, value);
  const write = {
    id: attempt,
    operation: 'put' as const,
    fingerprint,
    type: value.type,
    bytes: lengthOf(value),
    publicKey,
  };
  const expected = ifVersion === undefined || row.provider_version === null ? {} : { ifVersion: row.provider_version };
  const held = await runWrite(deps, { ...secret, owner, by }, write, (provider, call) =>
    provider.put(reference, value, { attempt, ...expected }, call),
  );
  if (!held) throw problem('secret_not_found');
  return held;
}
