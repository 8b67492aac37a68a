import { newEvent } from '@postern/audit';
import type { ConsentRow } from '../consents/consent.ts';
import type { RecordEffect } from '../record-effect.ts';

/** R23: redeeming a code is an effect at the provider; its intent is committed first, the callback's answer is the outcome. */
export async function commitIntentOf({ audit, now }: RecordEffect, consent: ConsentRow): Promise<void> {
  await audit.commit(
    newEvent(
      {
        action: 'consent.completed',
        outcome: 'intent',
        tenant: consent.tenant,
        actor: {
          person: { issuer: consent.person_issuer, sub: consent.person_sub },
          client: consent.started_by,
        },
        resource: { type: 'consent', id: consent.id },
        details: { provider: consent.provider, scopes: consent.scopes },
      },
      now(),
    ),
  );
}
