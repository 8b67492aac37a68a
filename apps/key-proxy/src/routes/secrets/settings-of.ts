import { type z } from 'zod';
import { type SecretSettings } from '../../secrets/change-settings.ts';
import { type settings } from './secret-view.ts';

type Given = z.output<z.ZodObject<typeof settings>>;

const date = (text: string | null | undefined) => (text ? new Date(text) : text);

/** What a caller said about a secret, as the operation takes it. */
export const settingsOf = (given: Given): SecretSettings => ({
  description: given.description,
  tags: given.tags,
  expiresAt: date(given.expires_at) as Date | null | undefined,
  rotateDays: given.rotate_days,
  cacheSeconds: given.cache_seconds,
  staleSeconds: given.stale_seconds,
});
