import { z } from 'zod';
import { route } from '@postern/http';
import { setTenantDefault } from '../providers/choose-place.ts';
import { configurationOf } from '../providers/configuration.ts';
import { checkConfiguration, keepConfiguration, sealConfiguration } from '../providers/configure-provider.ts';
import { providerKinds } from '../providers/provider-kind.ts';
import { ownerOf } from '../secrets/owner.ts';
import { kms, refuseCredentials } from './fields.ts';
import { PROVIDER_PROBLEMS } from './provider-problems.ts';
import { type ConfigureDeps } from './providers/configure.ts';

/**
 * Seed route: an administrator says where the tenant's new secrets go, and with which credentials. Refused at once where it
 * could not work. It is the configuration of that kind's name, and the tenant's default.
 */
export const configureKms = (deps: ConfigureDeps) =>
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
    problems: [...PROVIDER_PROBLEMS, 'credentials_refused', 'provider_name_taken'],
    async handle({ principal, body }, audit) {
      const { tenant } = ownerOf(principal);
      const kind = body.kms_selection;
      refuseCredentials(kind, body.kms_credentials);
      const configuration =
        kind === 'crypto-store' ? null : configurationOf(kind, body.kms_credentials, 'body.kms_credentials');
      const kept = configuration && (await sealConfiguration(deps, { tenant, name: kind, configuration }));
      if (configuration) await checkConfiguration(deps.providers, tenant, configuration);
      return deps.db.transaction().execute(async (tx) => {
        const at = deps.now();
        if (configuration && kept) await keepConfiguration(tx, { ...kept, tenant, name: kind, configuration }, at);
        await setTenantDefault(tx, { tenant, kind, configuration: kept?.id ?? null }, at);
        return audit.within(
          tx,
          { resource: { type: 'provider', id: kept?.id ?? kind }, details: { provider: kind, kind } },
          { status: 200, body: { status: 'configured', kms_selection: kind } },
        );
      });
    },
  });
