import { evaluateTogether, policyDocument, ruleAnswers, ruleOf, type PolicyDocument } from '@postern/policy';
import type { JWTPayload } from 'jose';
import { refused, type LocalRequest, type LocalRules } from './local-rules.ts';

type Workload = PolicyDocument['workloads'][number];
type Act = { sub: string; act?: Act };

const LONGEST_CHAIN = 4;
const TOKEN_EXCHANGE = 'token-exchange';
const clientOf = ({ client, name }: Workload): string => client ?? name;

/**
 * A policy document decides as it does at token-exchange: by the same library, with the rule of the holder (R8), the ceiling of grants
 * and minted tokens, and everyone who acts named in the token.
 * @param issuer the realm of people whose tenant names none
 * @throws ZodError for a document that is not one; RangeError for a workload that it does not name
 */
export function policyRules(written: object, workload: string, issuer: () => string, now: () => Date): LocalRules {
  const policy = policyDocument.parse(written);
  const workloads = new Map(policy.workloads.map((one) => [clientOf(one), one]));
  const own = policy.workloads.find(({ name }) => name === workload);
  if (!own) throw new RangeError(`the policy names no workload ${workload}`);
  const tenant = policy.tenants.flatMap((one) => ('id' in one && one.state === 'active' ? [one.id] : []))[0] ?? 'none';

  return {
    clients: [...workloads.keys()],
    usual: { client: clientOf(own), audience: TOKEN_EXCHANGE, tenant },
    decide(request) {
      const asking = workloads.get(request.client)!;
      const { subject, isGrant, scopes } = request;
      const held = holderOf(request, asking);
      if (held === undefined)
        return refused('not_the_holder', 400, 'invalid_request', 'The subject token is not accepted');
      const kind = isGrant ? 'grant' : isMinted(subject) ? 'postern-access' : 'provider-access';
      const actors = actorsAfter(subject, asking);
      if (actors.length > LONGEST_CHAIN)
        return refused('chain_too_long', 400, 'invalid_request', 'Too many have acted for the subject already');
      const audiences = request.audiences.length > 0 ? request.audiences : ownersOf(policy, scopes);
      if (audiences.length === 0 || (request.audiences.length === 0 && audiences.length > 1))
        return refused('no_target', 400, 'invalid_target', 'Name the audience');

      const of = String(subject['tenant']);
      const decision = evaluateTogether(policy, {
        tenant: of,
        person: isPerson(subject) ? { issuer: issuerOf(policy, of) ?? issuer(), sub: String(subject.sub) } : null,
        roles: new Set(namesIn(subject['roles'])),
        workload: asking.name,
        subjectClient: holderClient(subject),
        subjectKind: kind,
        audiences,
        requestedScopes: scopes,
        login: loginOf(subject, now()),
        ...(kind !== 'provider-access' && { ceiling: ceilingOf(policy, subject, held, asking.name) }),
        ...(request.approved && { approved: new Set(scopes) }),
      });
      const told = ruleOf(decision);
      if (told?.rule === 'approval_needed' && policy.approvals && isPerson(subject)) return { outcome: 'pending' };
      if (told) {
        const { status, error, description } = ruleAnswers[told.rule];
        const { acrValues = [], maxAgeSeconds } = decision.loginNeeded ?? {};
        const more = {
          ...(acrValues.length > 0 && { acr_values: acrValues.join(' ') }),
          ...(maxAgeSeconds !== undefined && { max_age: maxAgeSeconds }),
        };
        return { outcome: 'refused', rule: told.rule, status, error, description, more };
      }
      const left = Math.floor(Number(subject.exp) - now().getTime() / 1000);
      return {
        outcome: 'given',
        lifetimeSeconds: Math.min(decision.longestLifeSeconds, left),
        claims: {
          sub: String(subject.sub),
          tenant: of,
          client_id: request.client,
          ...(audiences.length > 1 ? { aud: [...audiences] } : { aud: audiences[0]! }),
          scope: decision.granted.join(' '),
          ...Object.fromEntries(
            ['roles', 'acr', 'auth_time', 'grant_id']
              .filter((name) => subject[name] !== undefined)
              .map((name) => [name, subject[name]]),
          ),
          ...actClaim(actors),
        },
      };
    },
  };
}

/** R8: whom the token names, or the client that it was issued to; where it is not minted, it must be meant for token-exchange. */
function holderOf(
  { subject, client }: LocalRequest,
  { name, bearerSubjects }: Workload,
): 'audience' | 'itself' | undefined {
  const audiences = [subject.aud].flat();
  if (!isMinted(subject) && !audiences.includes(TOKEN_EXCHANGE)) return undefined;
  if (audiences.includes(name)) return 'audience';
  const issuedTo = holderClient(subject);
  return issuedTo === client || bearerSubjects.includes(issuedTo) ? 'itself' : undefined;
}

const isMinted = (subject: JWTPayload): boolean => subject['client_id'] !== undefined;
const holderClient = (subject: JWTPayload): string => String(subject['client_id'] ?? subject['azp']);
const isPerson = (subject: JWTPayload): boolean => subject.sub !== holderClient(subject);

/** A minted token never widens; one of several audiences is worth its own scopes to whom it only names. */
function ceilingOf(
  { scopes }: PolicyDocument,
  subject: JWTPayload,
  held: string,
  workload: string,
): ReadonlySet<string> {
  const has = new Set(String(subject['scope'] ?? '').split(' '));
  if (held !== 'audience' || !Array.isArray(subject.aud) || subject.aud.length < 2) return has;
  return new Set(scopes.filter(({ name, audience }) => audience === workload && has.has(name)).map(({ name }) => name));
}

const ownersOf = ({ scopes: known }: PolicyDocument, scopes: readonly string[]): string[] => [
  ...new Set(known.filter(({ name }) => scopes.includes(name)).map(({ audience }) => audience)),
];

const issuerOf = ({ tenants }: PolicyDocument, tenant: string): string | undefined =>
  tenants.flatMap((one) => ('id' in one && one.id === tenant && one.issuer !== undefined ? [one.issuer] : []))[0];

const namesIn = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];

const loginOf = ({ acr, auth_time: at }: JWTPayload, now: Date) => ({
  ...(typeof acr === 'string' && { acr }),
  ...(typeof at === 'number' && { ageSeconds: Math.max(0, Math.floor(now.getTime() / 1000) - at) }),
});

/** Newest first; a workload that asks for itself acts for nobody, and nobody is named twice in a row. */
function actorsAfter(subject: JWTPayload, asking: Workload): string[] {
  const before: string[] = [];
  for (let act = subject['act'] as Act | undefined; act; act = act.act) before.push(act.sub);
  const itself = !isPerson(subject) && before.length === 0 && holderClient(subject) === clientOf(asking);
  return itself || before[0] === asking.name ? before : [asking.name, ...before];
}

const actClaim = (actors: readonly string[]): { act?: Act } => {
  const act = actors
    .toReversed()
    .reduce<Act | undefined>((inner, sub) => (inner ? { sub, act: inner } : { sub }), undefined);
  return act ? { act } : {};
};
