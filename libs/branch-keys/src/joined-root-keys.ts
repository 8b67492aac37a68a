import { RootKeyRefused } from './errors.ts';
import { type RootKey } from './root-key.ts';

/**
 * One root key that wraps with the active of several and unwraps with whichever holds the ARN: for moving from one
 * provider or region to another. Within one provider the key stays inside it (ReEncrypt); between two it is in this
 * process's memory for the moment, and overwritten.
 */
export function joinRootKeys(active: RootKey, previous: readonly RootKey[]): RootKey {
  if (previous.length === 0) return active;
  const all = [active, ...previous];
  const holding = (arn: string): RootKey => {
    const found = all.find((one) => one.holds(arn));
    if (found === undefined) throw new RootKeyRefused();
    return found;
  };
  return {
    ...active,
    holds: (arn) => all.some((one) => one.holds(arn)),
    async rewrap(wrapped, from, to) {
      const [source, destination] = [holding(from.arn), holding(to.arn)];
      if (source === destination) return source.rewrap(wrapped, from, to);
      if (to.arn !== destination.arn) throw new RootKeyRefused();
      const key = await source.unwrap(wrapped, from);
      try {
        return await destination.wrap(key, to.context);
      } finally {
        key.fill(0);
      }
    },
    unwrap: async (wrapped, wrapping) => holding(wrapping.arn).unwrap(wrapped, wrapping),
    close() {
      for (const one of all) one.close();
    },
  };
}
