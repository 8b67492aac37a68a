import type { Page } from '@postern/http';
import type { Kysely } from 'kysely';
import type { Now } from '@postern/runtime';
import { publicState } from '../consents/consent.ts';
import type { Schema } from '../db/schema.ts';
import { outcomePage } from '../pages/outcome-page.ts';
import { PAGE_POLICY } from '../pages/page.ts';

/** What a browser is shown whose link leads nowhere: that it expired where that is so, else one answer for everything. */
export async function goneOrExpired(
  { db, now }: { db: Kysely<Schema>; now: Now },
  id: string,
): Promise<{ reason: string; page: Page }> {
  const consent = await db.selectFrom('consents').selectAll().where('id', '=', id).executeTakeFirst();
  const expired = consent !== undefined && publicState(consent, now()) === 'expired';
  return {
    reason: expired ? 'consent_expired' : 'consent_not_found',
    page: { status: 404, html: outcomePage(expired ? 'expired' : 'gone'), contentSecurityPolicy: PAGE_POLICY },
  };
}
