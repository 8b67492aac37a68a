import { GetRolePolicyCommand, ListRolePoliciesCommand, type IAMClient } from '@aws-sdk/client-iam';
import { statementsOf } from './web-identity.ts';

/** What a KMS request asks for: an action on a key, with the pairs of its encryption context. */
export type KmsAsk = { action: string; keyArn: string; context: Readonly<Record<string, string>> };

type Allowing = {
  Effect: string;
  Action: string | string[];
  Resource?: string | string[];
  Condition?: Record<string, Record<string, string>>;
};

const CONTEXT = 'kms:EncryptionContext:';

/**
 * Whether the inline policies of a role allow it (IAM User Guide, "Policy evaluation logic", the part without deny,
 * boundaries and attached policies). The only condition known is `StringEquals` on `kms:EncryptionContext:...`
 * (KMS Developer Guide, "Condition keys"); any other one refuses.
 */
export async function mayAsk(iam: IAMClient, role: string, ask: KmsAsk): Promise<boolean> {
  const { PolicyNames = [] } = await iam.send(new ListRolePoliciesCommand({ RoleName: role }));
  for (const name of PolicyNames) {
    const { PolicyDocument = '' } = await iam.send(new GetRolePolicyCommand({ RoleName: role, PolicyName: name }));
    const statements = statementsOf(decodeURIComponent(PolicyDocument)) as Allowing[];
    if (statements.some((statement) => allows(statement, ask))) return true;
  }
  return false;
}

function allows({ Effect, Action, Resource, Condition = {} }: Allowing, { action, keyArn, context }: KmsAsk): boolean {
  if (Effect !== 'Allow' || ![Action].flat().includes(action) || ![Resource].flat().includes(keyArn)) return false;
  if (Object.keys(Condition).some((operator) => operator !== 'StringEquals')) return false;
  return Object.entries(Condition['StringEquals'] ?? {}).every(
    ([key, wanted]) => key.startsWith(CONTEXT) && context[key.slice(CONTEXT.length)] === wanted,
  );
}
