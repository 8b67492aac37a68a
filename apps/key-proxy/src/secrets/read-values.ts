import { type Call, type OnBehalf, type Read } from '../providers/secret-provider.ts';
import { type Providers } from '../providers/open-providers.ts';
import { type HeldSecret } from './held-secret.ts';

export type OpenedSecret = HeldSecret & Pick<Read, 'value'>;

/** Enough to hide the round trips, few enough to leave the provider to others. */
const MOST_AT_ONCE = 8;

/**
 * The values of these secrets from where each lies, in their order: those of one place in as few calls as its provider has
 * for that. One that cannot be read fails the whole: a caller never takes an answer that lacks a secret for one that has all.
 * @throws Problem of the provider port
 */
export async function readValues(
  providers: Providers,
  secrets: readonly HeldSecret[],
  by: OnBehalf,
): Promise<OpenedSecret[]> {
  const call = providers.call(by);
  const values = new Map<string, Read>();
  for (const together of byPlace(secrets)) await readTogether(providers, together, call, values);
  return secrets.map((secret) => {
    const read = values.get(secret.id);
    if (!read) throw new TypeError('every secret was read, or its failure thrown');
    return { ...secret, value: read.value };
  });
}

function byPlace(secrets: readonly HeldSecret[]): HeldSecret[][] {
  const groups = Map.groupBy(secrets, ({ place }) => JSON.stringify([place.kind, place.configuration]));
  return [...groups.values()];
}

async function readTogether(
  providers: Providers,
  secrets: readonly HeldSecret[],
  call: Call,
  values: Map<string, Read>,
): Promise<void> {
  const [first] = secrets;
  if (!first) return;
  const provider = await providers.at(first.place);
  if (provider.readMany && secrets.length > 1) {
    const found = await provider.readMany(
      secrets.map(({ reference }) => reference),
      call,
    );
    for (const { id, reference } of secrets) {
      const read = found.get(reference) ?? new Error('an answer of a batch lacks a reference');
      if (read instanceof Error) throw read;
      values.set(id, read);
    }
    return;
  }
  let next = 0;
  const reader = async (): Promise<void> => {
    for (let at = next++; at < secrets.length; at = next++) {
      const secret = secrets[at];
      if (!secret) return;
      values.set(secret.id, await provider.read(secret.reference, null, call));
    }
  };
  await Promise.all(Array.from({ length: Math.min(MOST_AT_ONCE, secrets.length) }, reader));
}
