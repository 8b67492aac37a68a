import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { randomFrom, type Random } from '../random.ts';
import { openWorld, type Reply } from '../token-exchange.ts';
import { holders, kinds, tenants } from './confused.ts';
import { doorsOf, type Cast } from './doors.ts';
import { forgeries } from './forged.ts';
import { newKey, openProofs } from './proofs.ts';

/** Of one kind of attack: how many were made, and how many got in. */
export type Count = { tried: number; accepted: number };
export type Attacked = {
  groups: Record<string, Count>;
  /** Sound tokens that were let in between them, without which the refusals would say nothing. */
  sound: number;
  /** What was let in, ended in an error of the server, or was turned away for another reason than the token. */
  wrong: string[];
};

/** One in so many is a sound token. */
const SOUND_EVERY = 20;
const AT_ONCE = 8;

/**
 * Attacks on tokens and their holders, at random, on the real service over mutual TLS: as a subject of an exchange, at a route,
 * and as a client without a certificate.
 */
export async function tokenAttacks(tries: number, seed: number): Promise<Attacked> {
  const client = await newKey();
  const world = await openWorld({
    clientKeys: { portal: [{ ...client.jwk, kid: 'client', alg: 'ES256', use: 'sig' }] },
    env: { POSTERN_LOG_LEVEL: 'error' },
  });
  let asked = 0;
  const canary = createServer((_, answer) => {
    asked += 1;
    answer.end('{}');
  });
  await new Promise<void>((listening) => canary.listen(0, '127.0.0.1', listening));
  const proofs = await openProofs(world, client);
  try {
    const [portal, job, keyProxy] = await Promise.all(['portal', 'job', 'key-proxy'].map((name) => world.caller(name)));
    if (!portal || !job || !keyProxy) throw new Error('callers are missing');
    const cast: Cast = {
      world,
      portal,
      job,
      keyProxy,
      canary: `http://127.0.0.1:${(canary.address() as AddressInfo).port}/`,
    };
    const doors = doorsOf(cast);
    const groups = {
      'forged tokens': forgeries(cast),
      'kinds (R7)': kinds(cast),
      'tenants (R1, R2)': tenants(cast),
      'holders (R8)': holders(cast),
      'proofs of possession': proofs.attacks.map((attack) => (_: unknown, chosen: Random) => attack(chosen)),
    };
    const counts = Object.fromEntries(Object.keys(groups).map((name) => [name, { tried: 0, accepted: 0 }]));
    const wrong: string[] = [];
    let sound = 0;

    const judge = (name: string, { status, text }: Reply) => {
      const count = counts[name];
      if (count) count.tried += 1;
      if (status === 200 && count) count.accepted += 1;
      // 431 is the answer to a header that is too long to be looked at.
      if (![400, 401, 403, 431].includes(status)) wrong.push(`${name}: ${status} ${text.slice(0, 300)}`);
    };
    const steps = Array.from({ length: tries }, (_, at) => at);
    const lane = async () => {
      for (let at = steps.pop(); at !== undefined; at = steps.pop()) {
        // Each choice follows from its number alone, whatever the lanes do.
        const random = randomFrom(seed + at);
        const name = random.one(Object.keys(groups)) as keyof typeof groups;
        const attack = random.one(groups[name]);
        const door = random.one(doors);
        judge(name, await attack(door, random));
        if (at % SOUND_EVERY > 0) continue;
        const replies = [await door.present(await door.mint()), await proofs.sound()];
        sound += replies.filter(({ status }) => status === 200).length;
        wrong.push(...replies.filter(({ status }) => status !== 200).map(({ text }) => `a sound token: ${text}`));
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, lane));
    if (asked > 0) wrong.push(`an address out of a token was asked ${asked} times`);
    return { groups: counts, sound, wrong };
  } finally {
    await proofs.close();
    canary.closeAllConnections();
    await new Promise((closed) => canary.close(closed));
    await world.close();
  }
}
