import { problem } from '@postern/runtime';
import { type OnBehalf } from '../providers/secret-provider.ts';
import { assertLabels, type SecretSettings } from './change-settings.ts';
import { type HeldSecret } from './held-secret.ts';
import { type Owner } from './owner.ts';
import { runWrite, type RunWrites } from './writes/run-write.ts';

/**
 * Changes a secret's tags at its provider, and here all that was said with them: together or not at all. Left open it is done again,
 * which is harmless.
 *
 * @throws Problem `version_not_found` for a label, `secret_not_found`, `secret_busy`; of the provider port
 */
export async function setTags(
  deps: RunWrites,
  secret: HeldSecret,
  { owner, by, settings }: { owner: Owner; by: OnBehalf; settings: SecretSettings },
  attempt: string,
): Promise<HeldSecret> {
  await assertLabels(deps.db, secret.id, settings);
  const write = { id: attempt, operation: 'tag' as const, settings };
  const held = await runWrite(deps, { ...secret, owner, by }, write, (provider, call) =>
    provider.tag(secret.reference, settings.tags ?? {}, call),
  );
  if (!held) throw problem('secret_not_found');
  return held;
}
