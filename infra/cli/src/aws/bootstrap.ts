import { oidcProvider } from './oidc-provider.ts';
import { role, rolePolicy } from './role.ts';
import { rootKey } from './root-key.ts';
import { type Clients, type Step } from './step.ts';
import { iamArn, type Account } from './account.ts';
import { roleNameOf, type Wanted } from './wanted.ts';

export type Bootstrap = {
  steps: Step[];
  /** What each service is to be given, once the steps are applied. */
  settings(): { service: string; keyArn: string; roleArn: string }[];
};

/**
 * Looks at the account and says what is missing: identity provider, key and alias, then role and policy of each service.
 * Applying the steps in order is safe to repeat and to cut anywhere.
 */
export async function planBootstrap(clients: Clients, wanted: Wanted, account: Account): Promise<Bootstrap> {
  const provider = await oidcProvider(clients, wanted, account);
  const key = await rootKey(clients, wanted);
  const steps = [provider.step, key.step];
  for (const workload of wanted.workloads) {
    steps.push(await role(clients, wanted, provider.arn, workload));
    steps.push(await rolePolicy(clients, wanted, () => key.arn, workload));
  }
  return {
    steps,
    settings: () =>
      wanted.workloads.map(({ service }) => ({
        service,
        keyArn: key.arn ?? '',
        roleArn: iamArn(account, `role/${roleNameOf(wanted, service)}`),
      })),
  };
}
