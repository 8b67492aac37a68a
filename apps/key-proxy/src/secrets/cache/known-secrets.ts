import { type HeldSecret } from '../held-secret.ts';

/**
 * Where secrets lie, and by which grant a caller reached them, remembered for each caller. It proves nothing: what is read
 * under it leaves only while its guard holds, and where that fails the secret is looked up again (R32).
 */
export type KnownSecrets = {
  /** @param key names the caller and what they ask for; `reach` looks it up. */
  find(key: string, reach: () => Promise<HeldSecret>, options: { fresh: boolean }): Promise<HeldSecret>;
};

const MOST = 20_000;

export function createKnownSecrets(): KnownSecrets {
  const known = new Map<string, HeldSecret>();
  return {
    async find(key, reach, { fresh }) {
      const held = fresh ? undefined : known.get(key);
      if (held) return held;
      known.delete(key);
      const found = await reach();
      // Only what may be read now: another state is looked up each time.
      if (found.state === 'live') known.set(key, found);
      const [eldest] = known;
      if (known.size > MOST && eldest) known.delete(eldest[0]);
      return found;
    },
  };
}
