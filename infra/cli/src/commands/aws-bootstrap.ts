import { IAMClient } from '@aws-sdk/client-iam';
import { KMSClient } from '@aws-sdk/client-kms';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { accountOf } from '../aws/account.ts';
import { planBootstrap, type Bootstrap } from '../aws/bootstrap.ts';
import { type Wanted } from '../aws/wanted.ts';
import { CommandFailed, exitCodes } from '../outcome.ts';
import { defineCommand } from '../table/command.ts';

export const command = defineCommand({
  about:
    'Makes what the aws-kms root key needs in an AWS account, or mends it: the OIDC provider, a key with its alias, and for each service a role that only its own token may take, with a policy for its own branch keys. Uses the credentials of the AWS environment or profile. Run again, it changes nothing.',
  options: {
    issuer: { type: 'string', value: 'URL', about: "issuer of the services' tokens: the realm, or the cluster" },
    audience: { type: 'string', value: 'AUD', default: 'sts.amazonaws.com', about: 'the aud that those tokens carry' },
    workload: {
      type: 'string',
      multiple: true,
      value: 'SERVICE=SUBJECT',
      about: 'a service and the sub of its token; for each service',
    },
    region: { type: 'string', value: 'REGION', about: 'where the key lives' },
    environment: {
      type: 'string',
      default: 'production',
      among: ['production', 'development'],
      about: "the services' POSTERN_ENVIRONMENT, which every wrapped key names",
    },
    prefix: { type: 'string', value: 'NAME', default: 'postern', about: 'begins the names of alias and roles' },
    'previous-key': {
      type: 'string',
      multiple: true,
      value: 'ARN',
      about: 'a root key that branch keys are to be moved away from',
    },
    'import-local': {
      type: 'boolean',
      about: 'also allows kms:Encrypt: to move branch keys in from a local root key. Run again without it afterwards',
    },
    plan: { type: 'boolean', about: 'shows what would be done; exit code 3 where that is something' },
    endpoint: { type: 'string', value: 'URL', about: 'an AWS emulator; in development only' },
    json: { type: 'boolean', about: 'steps and settings as one JSON object' },
  },
  async run({ values }, terminal) {
    const wanted = wantedOf(values);
    const { region, endpoint } = values;
    if (region === undefined) throw usage('--region is needed');
    if (endpoint !== undefined && values.environment !== 'development') {
      throw usage('--endpoint is for --environment development');
    }
    const where = { region, ...(endpoint === undefined ? {} : { endpoint }) };
    const clients = { iam: new IAMClient(where), kms: new KMSClient(where), sts: new STSClient(where) };
    try {
      const { Arn } = await answered(clients.sts.send(new GetCallerIdentityCommand({})));
      const account = accountOf(Arn);
      if (account === undefined)
        throw new CommandFailed(exitCodes.refused, 'AWS does not say whose credentials these are');
      const plan = await answered(planBootstrap(clients, wanted, account));
      const changes = plan.steps.filter(({ change }) => change !== 'keep');
      if (!values.plan) for (const step of changes) await answered(step.apply());
      const settings = values.plan && changes.length > 0 ? [] : plan.settings();
      if (values.json)
        terminal.out(JSON.stringify({ steps: plan.steps.map(({ apply: _, ...told }) => told), settings }));
      else show(plan, settings, terminal.out);
      return values.plan && changes.length > 0 ? exitCodes.drift : exitCodes.done;
    } finally {
      for (const client of Object.values(clients)) client.destroy();
    }
  },
});

function wantedOf(values: {
  issuer: string | undefined;
  audience: string;
  workload: readonly string[] | undefined;
  environment: string;
  prefix: string;
  'previous-key': readonly string[] | undefined;
  'import-local': boolean | undefined;
}): Wanted {
  const { issuer, audience, environment, prefix, workload = [] } = values;
  if (issuer === undefined || !/^https:\/\/[^?#]+[^/?#]$/.test(issuer)) {
    throw usage('--issuer is needed: an https URL exactly as in the tokens, without a query');
  }
  if (!/^[a-z][a-z0-9-]{0,30}$/.test(prefix)) throw usage('--prefix is lower case letters, digits and hyphens');
  const workloads = workload.map((pair) => {
    const [, service, subject] = /^([a-z][a-z0-9-]{0,40})=(\S{1,256})$/.exec(pair) ?? [];
    if (service === undefined || subject === undefined) throw usage('--workload is SERVICE=SUBJECT');
    return { service, subject };
  });
  if (workloads.length === 0) throw usage('--workload is needed');
  const previousKeys = values['previous-key'] ?? [];
  return {
    issuer,
    audience,
    environment,
    prefix,
    workloads,
    previousKeys,
    importsLocal: values['import-local'] === true,
  };
}

function show({ steps }: Bootstrap, settings: ReturnType<Bootstrap['settings']>, out: (line: string) => void): void {
  for (const { change, what, detail } of steps) out(`${change.padEnd(6)}  ${what.padEnd(13)}  ${detail}`);
  for (const { service, keyArn, roleArn } of settings) {
    out(`\n# ${service}\nPOSTERN_ROOT_KEY=aws-kms\nPOSTERN_ROOT_KEY_ARN=${keyArn}\nPOSTERN_AWS_ROLE_ARN=${roleArn}`);
  }
}

const usage = (message: string) => new CommandFailed(exitCodes.usage, message);

/** What AWS refuses is a refusal; what does not answer is unreachable. Neither says more than AWS's own line. */
async function answered<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof CommandFailed) throw error;
    const { name, message, $metadata } = error as Error & { $metadata?: { httpStatusCode?: number } };
    const refused = $metadata?.httpStatusCode !== undefined;
    throw new CommandFailed(refused ? exitCodes.refused : exitCodes.unreachable, `AWS: ${name}: ${message}`);
  }
}
