import { timingSafeEqual } from 'node:crypto';
import { problem } from '@postern/runtime';
import { z } from 'zod';
import type { WebSession } from './sessions.ts';

/** What every form of a page carries, and the header that its browser adds. */
export const formFields = { csrf: z.string().max(64).describe('of the session, as the page had it') };
export const formHeaders = z.strictObject({
  origin: z.string().max(512).optional().describe('as browsers add it; it must be this one'),
});

/**
 * That a form was sent by this very origin's own page of this very session (R17).
 * @throws Problem `cross_site`
 */
export function assertOwnForm(
  origin: string,
  session: Pick<WebSession, 'csrf'>,
  sent: { origin: string | undefined; csrf: string },
): void {
  const [ours, theirs] = [Buffer.from(session.csrf), Buffer.from(sent.csrf)];
  const same = ours.length === theirs.length && timingSafeEqual(ours, theirs);
  if (sent.origin !== origin || !same) throw problem('cross_site');
}
