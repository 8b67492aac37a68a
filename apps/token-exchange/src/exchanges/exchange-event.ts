import type { What } from '@postern/http';
import type { PolicyDocument } from '@postern/policy';
import type { Exchange } from './exchange-token.ts';
import type { Asked, Caller } from './plan-exchange.ts';
import type { Subject } from './subject.ts';
import type { Said } from './refusal.ts';

/** As much of an exchange as was known when it ended. */
export type Attempt = { caller: Caller; asked?: Asked; subject?: Subject };

type Event = What<'token.exchanged'>;

/** The event of a minted token. */
export function exchangedEvent(policy: PolicyDocument, attempt: Attempt, exchange: Exchange): Event {
  return {
    ...actorOf(attempt),
    details: {
      ...subjectOf(policy, attempt),
      scopes: [...exchange.scopes],
      tokenId: exchange.tokenId,
      expiresAt: exchange.expiresAt.toISOString(),
      rule: exchange.decision.decidedBy,
    },
  };
}

/** The event before the identity provider is asked (R23). */
export function intendedEvent(policy: PolicyDocument, attempt: Attempt) {
  const { details, ...event } = { ...actorOf(attempt), details: subjectOf(policy, attempt) };
  return { ...event, details: { ...details, requested: namesOf(policy, attempt.asked?.scopes ?? []) } };
}

/** The event of a refusal, with the rule that decided. */
export function refusedEvent(policy: PolicyDocument, attempt: Attempt, said: Said): Event {
  const requested = namesOf(policy, attempt.asked?.scopes ?? []);
  const refused = namesOf(policy, said.refusedScopes);
  return {
    ...actorOf(attempt),
    outcome: 'refused',
    reason: said.reason,
    details: {
      ...subjectOf(policy, attempt),
      scopes: [],
      ...(requested.length > 0 && { requested }),
      ...(refused.length > 0 && { refused }),
      rule: said.reason,
    },
  };
}

/** Only names that the policy has are written down: any other is the caller's own text. */
const namesOf = ({ scopes }: PolicyDocument, asked: readonly string[]): string[] =>
  [...new Set(asked)].filter((scope) => scopes.some(({ name }) => name === scope)).slice(0, 64);

function actorOf({ subject, caller: { workload } }: Attempt): Pick<Event, 'tenant' | 'actor'> {
  if (!subject) return { actor: { workload } };
  const { person, clientId: client, actors, tenant } = subject.principal;
  const acts = actors.length > 0 ? { acts: [...actors] } : {};
  return { tenant, actor: { ...(person && { person }), client, workload, ...acts } };
}

function subjectOf(policy: PolicyDocument, { asked, subject }: Attempt) {
  const named = asked?.audiences.filter((one) => policy.targets.some(({ audience }) => audience === one)) ?? [];
  const [audience = 'unknown', ...more] = named;
  const targets = { audience, ...(more.length > 0 && { audiences: named }) };
  if (!subject) return { ...targets, policyVersion: policy.version };
  const { kind, issuer, tokenId, clientId } = subject.principal;
  return {
    ...targets,
    policyVersion: policy.version,
    subjectKind: kind,
    subjectIssuer: issuer,
    subjectTokenId: tokenId,
    subjectClient: clientId,
  };
}
