import { setTimeout as sleep } from 'node:timers/promises';
import type { Kysely } from 'kysely';
import { Secret } from '@postern/runtime';
import { z } from 'zod';
import type { Schema } from '../db/schema.ts';
import { sealText, type Vault } from '../grants/vault.ts';
import type { AccessToken } from '../provider/provider-calls.ts';
import type { LockedConnection } from './grant-lock.ts';

/** A provider's answer as it lies in the journal: the new token, or that the old one stays; and what was asked for besides. */
const journalled = z.strictObject({
  rotated: z.string().optional(),
  repliedAt: z.iso.datetime(),
  idleSeconds: z.int().positive().optional(),
  access: z
    .strictObject({
      token: z.string(),
      type: z.string(),
      expiresIn: z.number(),
      scopes: z.array(z.string()).optional(),
    })
    .optional(),
});

export type Reply = {
  rotated: Secret | undefined;
  repliedAt: Date;
  idleSeconds?: number | undefined;
  access?: AccessToken | undefined;
};

export const writeReply = ({ rotated, repliedAt, idleSeconds, access }: Reply): Secret =>
  new Secret(
    JSON.stringify({
      rotated: rotated?.reveal(),
      repliedAt: repliedAt.toISOString(),
      idleSeconds,
      access: access && { ...access, token: access.token.reveal() },
    }),
  );

export function readReply(text: Secret): Reply {
  const { rotated, repliedAt, idleSeconds, access } = journalled.parse(JSON.parse(text.reveal()));
  return {
    rotated: rotated === undefined ? undefined : new Secret(rotated),
    repliedAt: new Date(repliedAt),
    idleSeconds,
    access: access && { ...access, token: new Secret(access.token), scopes: access.scopes },
  };
}

const TRIES = 6;
const PAUSE_MS = 250;

/**
 * R20, state `replied`: the sealed answer is committed before any use of it. Tried again at once when the database
 * stumbles, because the answer lives nowhere else: what is lost here costs the grant under strict rotation. Where the connection broke
 * that holds the lock, over others: nobody else touches an attempt that is `intended` before its time is up.
 * @throws the last error of the database or of the key store.
 */
export async function journalReply(
  { vault, db: others }: { vault: Vault; db: Kysely<Schema> },
  db: LockedConnection,
  at: { attempt: string; tenant: string },
  reply: Reply,
): Promise<void> {
  const sealed = await sealText(vault, { tenant: at.tenant, what: 'reply', id: at.attempt }, writeReply(reply));
  for (let attempt = 1; ; attempt++) {
    try {
      await (attempt === 1 ? db : others)
        .updateTable('refresh_attempts')
        .set({ state: 'replied', sealed_reply: sealed })
        .where('id', '=', at.attempt)
        .where('state', '=', 'intended')
        .execute();
      return;
    } catch (error) {
      if (attempt === TRIES) throw error;
      if (attempt > 1) await sleep(PAUSE_MS);
    }
  }
}
