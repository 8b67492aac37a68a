import { type Selectable, sql } from 'kysely';
import { type Schema, type SecretState } from '../db/schema.ts';
import { type Place } from '../providers/open-providers.ts';
import { type ValueType } from './secret-value.ts';

/** A secret as it is kept here: where its value lies, never the value. */
export type HeldSecret = {
  id: string;
  /** Where it is somebody else's: `VERB ISSUER SUB` of the grant that it was reached by, which must still stand (R32). */
  grant: string | null;
  name: string;
  place: Place;
  reference: string;
  /** The newest version by our count, and the provider's name of it. */
  version: number;
  providerVersion: string;
  type: ValueType;
  state: SecretState;
  /** Whether the newest version is disabled: the others may be read. */
  isNewestDisabled: boolean;
  /** Counts the changes: what was read under another one is stale (R32). */
  generation: string;
  description: string;
  tags: Readonly<Record<string, string>>;
  labels: Readonly<Record<string, number>>;
  expiresAt: Date | null;
  rotateDays: number | null;
  rotateAt: Date | null;
  cacheSeconds: number;
  staleSeconds: number;
  createdAt: Date;
  updatedAt: Date;
};

/** {@link HeldSecret.isNewestDisabled}, as a column of `secrets`. */
export const isNewestDisabled = sql<boolean>`exists (
  select 1 from secret_versions v
   where v.secret_id = secrets.id and v.version = secrets.version and v.state = 'disabled')`;

type Row = Selectable<Schema['secrets']> & { is_newest_disabled?: boolean };

/** A row, of which those who read a value have asked for `is_newest_disabled` too. */
export function heldSecret(row: Row): HeldSecret {
  return {
    id: row.id,
    grant: null,
    name: row.name,
    place: { tenant: row.tenant, kind: row.provider, configuration: row.configuration },
    reference: row.reference,
    version: row.version,
    providerVersion: row.provider_version ?? '',
    type: row.type,
    state: row.state,
    isNewestDisabled: row.is_newest_disabled ?? false,
    generation: row.generation,
    description: row.description,
    tags: row.tags,
    labels: row.labels,
    expiresAt: row.expires_at,
    rotateDays: row.rotate_days,
    rotateAt: row.rotate_at,
    cacheSeconds: row.cache_seconds,
    staleSeconds: row.stale_seconds,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}
