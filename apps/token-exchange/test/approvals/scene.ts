import { openWorld, policy, type Caller, type Reply, type World } from '../token-exchange.ts';

// A job that wants of key-proxy what a person has to approve: one world for all cases of approvals.

export let world: World;
export let portal: Caller;
export let job: Caller;
/** Seconds that the service's clock is ahead. */
export let clock = 0;

export const SCOPES = ['secrets:read', 'secrets:write'];

export async function open(): Promise<void> {
  world = await openWorld();
  [portal, job] = await Promise.all([world.caller('portal'), world.caller('job')]);
  await inForce({});
}

/** Time passes for the service. */
export function wait(seconds: number) {
  clock += seconds;
  world.skew(clock * 1000);
}
export const claims = () => ({
  iat: Math.floor(Date.now() / 1000) + clock,
  exp: Math.floor(Date.now() / 1000) + clock + 300,
});

let version = 0;
/** Puts a policy in force that asks for an approval of what the job wants of key-proxy. */
export async function inForce(approvals: object) {
  version += 1;
  const document = {
    ...policy,
    version: `approvals-${version}`,
    scopes: policy.scopes.map((scope) =>
      SCOPES.includes(scope.name) ? { ...scope, decision: 'admin_required' } : scope,
    ),
    approvals: { issuer: world.realm.entry.issuer, role: 'admin', ...approvals },
  };
  const call = await signedIn('olga', ['operator'], 'policy:read policy:write');
  const tag = String((await call('GET', '/v1/policy')).headers['etag']);
  const { status, text } = await call('PUT', '/v1/policy', document, { 'if-match': tag });
  if (status !== 200) throw new Error(text);
}

async function signedIn(sub: string, roles: string[], scopes: string, through = portal, over = {}) {
  const login = await world.realm.mint({
    audience: 'token-exchange',
    sub,
    clientId: through.workload,
    roles,
    boundTo: through.thumbprint,
    claims: { ...claims(), ...over },
  });
  const { status, body, text } = await through.exchange(login, 'token-exchange', scopes);
  if (status !== 200) throw new Error(text);
  const authorization = `Bearer ${String(body['access_token'])}`;
  return (method: 'GET' | 'PUT' | 'POST', path: string, sent?: object, headers = {}): Promise<Reply> =>
    through.call(path, {
      method,
      headers: { authorization, ...(sent && { 'content-type': 'application/json' }), ...headers },
      ...(sent && { body: JSON.stringify(sent) }),
    });
}
export const approver = (sub = 'carol', roles = ['admin'], over = {}) =>
  signedIn(sub, roles, 'approvals:read approvals:decide', portal, over);

/** A fresh grant token of the same person and grant, as each poll brings it. */
export const grantOf = (over: object = {}) =>
  world.jobGrant(job, { scopes: SCOPES, grantId: 'grant-1', claims: claims(), ...over });
export const asks = async (scope = 'secrets:read', more: Record<string, string> = {}, over: object = {}) =>
  job.exchange(await grantOf(over), 'key-proxy', scope, more);
export const decide = async (id: unknown, verdict: object, by = approver()) =>
  (await by)('POST', `/v1/approvals/${String(id)}/decision`, verdict);
export const APPROVE = { decision: 'approved' };
