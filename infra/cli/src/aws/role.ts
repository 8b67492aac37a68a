import {
  CreateRoleCommand,
  GetRoleCommand,
  GetRolePolicyCommand,
  PutRolePolicyCommand,
  UpdateAssumeRolePolicyCommand,
} from '@aws-sdk/client-iam';
import { keep, orNull, samePolicy, type Clients, type Step } from './step.ts';
import { keyUsePolicy, roleNameOf, trustPolicy, type Wanted } from './wanted.ts';

type Workload = Wanted['workloads'][number];

/** The role of one service: who may take it. */
export async function role({ iam }: Clients, wanted: Wanted, providerArn: string, workload: Workload): Promise<Step> {
  const name = roleNameOf(wanted, workload.service);
  const trust = trustPolicy(wanted, providerArn, workload.subject);
  const found = await orNull(iam.send(new GetRoleCommand({ RoleName: name })));
  const what = 'role';
  const detail = `${name}, taken by aud ${wanted.audience}, sub ${workload.subject}`;
  const document = JSON.stringify(trust);
  if (found === null) {
    const made = new CreateRoleCommand({ RoleName: name, AssumeRolePolicyDocument: document });
    return { what, change: 'create', detail, apply: async () => void (await iam.send(made)) };
  }
  if (samePolicy(found.Role?.AssumeRolePolicyDocument, trust)) return keep(what, detail);
  const changed = new UpdateAssumeRolePolicyCommand({ RoleName: name, PolicyDocument: document });
  return { what, change: 'change', detail, apply: async () => void (await iam.send(changed)) };
}

const POLICY_NAME = 'postern-branch-keys';

/** What the role may do with the root key; `keyArn` is null while only planning to make it. */
export async function rolePolicy(
  { iam }: Clients,
  wanted: Wanted,
  keyArn: () => string | null,
  { service }: Workload,
): Promise<Step> {
  const name = roleNameOf(wanted, service);
  const at = { RoleName: name, PolicyName: POLICY_NAME };
  const found = await orNull(iam.send(new GetRolePolicyCommand(at)));
  const what = 'policy';
  const detail = `${POLICY_NAME} of ${name}: branch keys of ${service} in ${wanted.environment}, that key, nothing else`;
  const arn = keyArn();
  if (arn !== null && samePolicy(found?.PolicyDocument, keyUsePolicy(wanted, service, arn))) return keep(what, detail);
  return {
    what,
    change: found === null ? 'create' : 'change',
    detail,
    async apply() {
      const PolicyDocument = JSON.stringify(keyUsePolicy(wanted, service, keyArn() ?? ''));
      await iam.send(new PutRolePolicyCommand({ ...at, PolicyDocument }));
    },
  };
}
