import { identityProviderContract } from '../src/identity-provider/contract/contract.ts';
import { startIdentityProvider } from '../src/identity-provider/index.ts';

identityProviderContract('the development provider', async ({ tls, realms }) => {
  const running = await Promise.all(realms.map((options) => startIdentityProvider({ tls, ...options })));
  return {
    realm: (name) => {
      const provider = running[realms.findIndex(({ realm }) => realm.name === name)];
      if (!provider) throw new RangeError(`no such realm: ${name}`);
      return provider;
    },
    close: async () => {
      await Promise.all(running.map((provider) => provider.close()));
    },
  };
});
