import { createHash } from 'node:crypto';

import { type KeycloakAdmin } from '../live/admin.ts';
import { planRealm, type Plan } from '../live/plan.ts';
import { type RealmRepresentation } from '../realm/representations.ts';
import { stableJson } from '../realm/stable-json.ts';
import { controls, type Control } from './controls.ts';
import { openProbing, probes, type Seen } from './probes.ts';

/** One control of one realm, as it was found. */
export type Assessed = {
  realm: string;
  control: string;
  title: string;
  setting: string;
  satisfied: boolean;
  observed: readonly string[];
  at: string;
  /** SHA-256 over the hash before and this result: one that is changed, taken out or moved breaks the chain. */
  hash: string;
};

/** Differences of a plan as `realm.failureFactor`, `client web.attributes.x`, `flow postern browser`. */
const differencesOf = ({ steps }: Plan): string[] =>
  steps.flatMap(({ action, kind, name, differences }) => {
    const object = kind === 'realm' ? 'realm' : `${kind} ${name}`;
    if (action !== 'update' || differences.length === 0) return [`${object}.`];
    return differences.map(({ path }) => `${object}.${path}`);
  });

const concerns = ({ fields }: Control, difference: string) =>
  fields.some((field) => (typeof field === 'string' ? difference === field : field.test(difference)));

/** What went before the first result. */
const START = '0'.repeat(64);

export const hashOf = (before: string, result: Omit<Assessed, 'hash'>): string =>
  createHash('sha256').update(before).update(stableJson(result)).digest('hex');

/** Whether the chain of results is whole. */
export function chainHolds(results: readonly Assessed[]): boolean {
  let before = START;
  return results.every(({ hash, ...result }) => {
    const holds = hash === hashOf(before, result);
    before = hash;
    return holds;
  });
}

export type AssessOptions = { url: string; ca?: string; now(): Date; progress?(realm: string, control: string): void };

/**
 * Checks every control of every realm on a running server: the settings that keep it are those of the document, and what
 * can be seen from outside holds. Changes nothing.
 */
export async function assess(
  admin: KeycloakAdmin,
  realms: readonly RealmRepresentation[],
  { url, ca, now, progress }: AssessOptions,
): Promise<Assessed[]> {
  const probing = openProbing({ url, ...(ca ? { ca } : {}) });
  const results: Assessed[] = [];
  let before = START;
  try {
    for (const wanted of realms) {
      const differences = differencesOf(await planRealm(admin, wanted));
      const seen = new Map<string, Seen>();
      const look = async (name: string): Promise<Seen> => {
        const known =
          seen.get(name) ??
          (await probes[name]?.(probing.at(wanted.realm, wanted)).catch((): Seen => ({
            holds: false,
            observed: 'the server did not answer',
          })));
        if (!known) throw new RangeError(`no probe ${name}`);
        seen.set(name, known);
        return known;
      };
      for (const control of controls) {
        progress?.(wanted.realm, control.id);
        const differing = differences.filter((one) => concerns(control, one));
        const looked = [];
        for (const name of control.probes ?? []) looked.push({ name, ...(await look(name)) });
        const result = {
          realm: wanted.realm,
          control: control.id,
          title: control.title,
          setting: control.setting,
          satisfied: differing.length === 0 && looked.every(({ holds }) => holds),
          observed: [
            differing.length === 0
              ? 'the settings are those of the document'
              : `differs from the document: ${differing.slice(0, 20).join(', ')}`,
            ...looked.map(({ name, observed }) => `${name}: ${observed}`),
          ],
          at: now().toISOString(),
        };
        before = hashOf(before, result);
        results.push({ ...result, hash: before });
      }
    }
    return results;
  } finally {
    await probing.close();
  }
}
