import { problem } from '@postern/runtime';
import { isKeptHere } from '../providers/capabilities.ts';
import { type OnBehalf } from '../providers/secret-provider.ts';
import { copiesOf } from './copies-of.ts';
import { type HeldSecret } from './held-secret.ts';
import { type Owner } from './owner.ts';
import { runWrite } from './writes/run-write.ts';
import { type RunWrites } from './writes/run-write.ts';

type Change = { owner: Owner; by: OnBehalf };

/**
 * Disables or enables a secret, or one version of it. Where the provider has no such state, it is one of this service: who
 * reads past it still reads.
 *
 * @throws Problem `secret_deleted`, `version_not_found`, `secret_busy`; Problem of the provider port
 */
export async function setEnabled(
  deps: RunWrites,
  secret: HeldSecret,
  { owner, by, enabled, version }: Change & { enabled: boolean; version?: number | undefined },
  attempt: string,
): Promise<HeldSecret | null> {
  const { id, reference, place, state } = secret;
  if (state === 'deleted') throw problem('secret_deleted');
  const at = await deps.db
    .selectFrom('secret_versions')
    .select('provider_version')
    .where((row) => row.and({ secret_id: id, version: version ?? secret.version }))
    .executeTakeFirst();
  if (!at && version !== undefined) throw problem('version_not_found');
  const providerVersion = at?.provider_version ?? secret.providerVersion;
  const operation = `${enabled ? 'enable' : 'disable'}${version === undefined ? '' : '_version'}` as const;
  const write = { id: attempt, operation, version: version ?? null };
  const change = enabled ? ('enable' as const) : ('disable' as const);
  return runWrite(
    deps,
    { ...secret, owner, by },
    write,
    isKeptHere(place.kind, change) ? null : (provider, call) => provider[change](reference, providerVersion, call),
  );
}

/** Deletes a secret so that it can be recovered. @throws Problem `secret_deleted`, `secret_busy`; of the provider port */
export async function deleteSecret(
  deps: RunWrites,
  secret: HeldSecret,
  { owner, by }: Change,
  attempt: string,
): Promise<HeldSecret | null> {
  if (secret.state === 'deleted') throw problem('secret_deleted');
  const write = { id: attempt, operation: 'delete' as const };
  return runWrite(deps, { ...secret, owner, by }, write, (provider, call) => provider.delete(secret.reference, call));
}

/** Takes a deletion back. @throws Problem `secret_not_deleted`, `secret_busy`; of the provider port */
export async function recoverSecret(
  deps: RunWrites,
  secret: HeldSecret,
  { owner, by }: Change,
  attempt: string,
): Promise<HeldSecret | null> {
  if (secret.state !== 'deleted') throw problem('secret_not_deleted');
  const write = { id: attempt, operation: 'recover' as const };
  return runWrite(deps, { ...secret, owner, by }, write, (provider, call) => provider.recover(secret.reference, call));
}

/** Destroys a secret with all versions, for good, here and wherever a move has left its value. @throws Problem `secret_busy`; of the provider port */
export async function destroySecret(
  deps: RunWrites,
  secret: HeldSecret,
  { owner, by }: Change,
  attempt: string,
): Promise<void> {
  const write = { id: attempt, operation: 'destroy' as const };
  await runWrite(deps, { ...secret, owner, by }, write, async (provider) => {
    // Before the place where it lies: once that is empty, all of them are (R23).
    for (const { place, reference } of await copiesOf(deps.db, secret)) {
      const other = await deps.providers.at(place);
      await other.destroy(reference, deps.providers.call(by));
    }
    await provider.destroy(secret.reference, deps.providers.call(by));
  });
}
