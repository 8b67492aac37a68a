import { ClientAssertionCredential, ClientSecretCredential } from '@azure/identity';
import { type Secret } from '@postern/runtime';

/** A client secret, or this tenant's federated assertion for `api://AzureADTokenExchange` (R36). */
export type AzureCredential = { clientSecret: Secret } | { assertion: () => Promise<string> };

type Application = { tenantId: string; clientId: string; credential: AzureCredential };
type Pipeline = ConstructorParameters<typeof ClientSecretCredential>[3];
type GetToken = ClientSecretCredential['getToken'];

/** The login of an application at its directory. Who asks keeps the token until its end. */
export function azureLogin(
  { tenantId, clientId, credential }: Application,
  pipeline: Pipeline,
): { getToken: GetToken } {
  if ('clientSecret' in credential)
    return new ClientSecretCredential(tenantId, clientId, credential.clientSecret.reveal(), pipeline);
  return {
    // Made before the library is asked: that tells an assertion which could not be made as one that was refused.
    async getToken(scopes, options) {
      const assertion = await credential.assertion();
      return new ClientAssertionCredential(tenantId, clientId, async () => assertion, pipeline).getToken(
        scopes,
        options,
      );
    },
  };
}
