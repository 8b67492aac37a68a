import { type Kysely } from 'kysely';
import { z } from 'zod';
import { route } from '@postern/http';
import { type Now } from '@postern/runtime';
import { recordActivity } from '../activity/record-activity.ts';
import { type Schema } from '../db/schema.ts';
import { providerKinds } from '../providers/provider-kind.ts';
import { setTenantDefault } from '../providers/choose-place.ts';
import { assertReachable, type Providers } from '../providers/open-providers.ts';
import { ownerOf } from '../secrets/owner.ts';
import { kms, refuseCredentials } from './fields.ts';

export type ConfigureKmsDeps = { db: Kysely<Schema>; providers: Providers; now: Now };

/** Seed route: an administrator says where the tenant's new secrets go. Refused at once where it could not work. */
export const configureKms = (deps: ConfigureKmsDeps) =>
  route({
    method: 'POST',
    path: '/configure-kms',
    listener: ['api', 'public'],
    scope: 'secrets:configure',
    role: 'admin',
    tier: 'sensitive',
    audit: 'provider.configured',
    summary: 'Sets the provider that keeps the tenant’s new secrets',
    body: z.strictObject(kms),
    answers: { 200: z.strictObject({ status: z.literal('configured'), kms_selection: z.enum(providerKinds) }) },
    problems: ['provider_unavailable', 'person_required'],
    async handle({ principal, body }, audit) {
      const person = ownerOf(principal);
      refuseCredentials(body.kms_selection, body.kms_credentials);
      const kind = body.kms_selection;
      assertReachable(deps.providers, kind);
      return deps.db.transaction().execute(async (tx) => {
        const at = deps.now();
        await setTenantDefault(tx, { tenant: principal.tenant, kind, configuration: null }, at);
        await recordActivity(tx, { person, action: 'configure-kms', status: 'success', at });
        const resource = { type: 'provider', id: kind };
        return audit.within(
          tx,
          { resource, details: { provider: kind } },
          { status: 200, body: { status: 'configured', kms_selection: kind } },
        );
      });
    },
  });
