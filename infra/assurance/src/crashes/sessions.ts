import { logInAs, workloadToken } from '@postern/cli';
import { type Cast, type Stack } from '@postern/dev';

/** The tokens of the tour's traffic. All live longer than a round of faults. */
export type Session = {
  /** The grant's token, a subject for exchanges. */
  grant: { token: string; type: string };
  /** What the job brings to each service. */
  job: Record<'auth-manager' | 'crypto-store' | 'key-proxy', string>;
  /** What the portal brings to the log, for a person whose role is auditor. */
  auditor: string;
};

const REDIRECT_URI = 'https://127.0.0.1/callback';

/** Whoever calls the realm or Postern in this world does so over a certificate of its own. */
const realmAt = (stack: Stack, clientId: 'portal' | 'job', cast: Cast) => ({
  issuer: stack.state.issuer,
  clientId,
  postern: cast[clientId],
  ca: stack.certificates.of[clientId].ca,
  redirectUri: REDIRECT_URI,
});

/** Logs everybody in and exchanges what they got, as the tour does after the consent. */
export async function openSession(stack: Stack, cast: Cast, grantId: string): Promise<Session> {
  const { job } = cast;
  const w = await workloadToken(realmAt(stack, 'job', cast));
  const m2 = await job.exchange({ subjectToken: w, audience: 'auth-manager', scopes: ['grants:use'] });
  const used = await job.grants.accessToken(grantId, { token: m2.accessToken });
  const asked = { subjectToken: used.access_token, subjectTokenType: used.issued_token_type };
  const records = await job.exchange({ ...asked, audience: 'crypto-store', scopes: ['records:read', 'records:write'] });
  const secrets = await job.exchange({ ...asked, audience: 'key-proxy', scopes: ['secrets:read', 'secrets:write'] });
  return {
    grant: { token: used.access_token, type: used.issued_token_type },
    job: {
      'auth-manager': m2.accessToken,
      'crypto-store': records.accessToken,
      'key-proxy': secrets.accessToken,
    },
    auditor: await auditorToken(stack, cast),
  };
}

/** Logs audrey in; her role at the realm is auditor. @returns a token for the log */
export async function auditorToken(stack: Stack, cast: Cast): Promise<string> {
  const audrey = { username: 'audrey', password: stack.state.users['audrey'] ?? '' };
  const subjectToken = await logInAs(audrey, realmAt(stack, 'portal', cast));
  return (await cast.portal.exchange({ subjectToken, audience: 'audit-sink', scopes: ['audit:read'] })).accessToken;
}
