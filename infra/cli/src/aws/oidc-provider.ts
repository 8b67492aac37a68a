import {
  AddClientIDToOpenIDConnectProviderCommand,
  CreateOpenIDConnectProviderCommand,
  GetOpenIDConnectProviderCommand,
} from '@aws-sdk/client-iam';
import { iamArn, type Account } from './account.ts';
import { keep, orNull, type Clients, type Step } from './step.ts';
import { issuerPath, type Wanted } from './wanted.ts';

const WHAT = 'OIDC provider';

/** The issuer as an identity provider of the account, with our audience among those it is trusted for. */
export async function oidcProvider({ iam }: Clients, wanted: Wanted, account: Account) {
  const arn = iamArn(account, `oidc-provider/${issuerPath(wanted.issuer)}`);
  const found = await orNull(iam.send(new GetOpenIDConnectProviderCommand({ OpenIDConnectProviderArn: arn })));
  return { arn, step: stepOf() };

  function stepOf(): Step {
    const { issuer, audience } = wanted;
    if (found === null) {
      const made = new CreateOpenIDConnectProviderCommand({ Url: issuer, ClientIDList: [audience] });
      const apply = async () => void (await iam.send(made));
      return { what: WHAT, change: 'create', detail: `${issuer} for audience ${audience}`, apply };
    }
    if (found.ClientIDList?.includes(audience)) return keep(WHAT, arn);
    const added = new AddClientIDToOpenIDConnectProviderCommand({ OpenIDConnectProviderArn: arn, ClientID: audience });
    const apply = async () => void (await iam.send(added));
    return { what: WHAT, change: 'change', detail: `${arn}: add audience ${audience}`, apply };
  }
}
