import { route } from '@postern/http';
import type { Issuer, RevocationSequence } from '@postern/issuer';
import { revocationTarget, type Principal, type RevocationTarget } from '@postern/oidc';
import { queryIn } from '@postern/postgres';
import { problem } from '@postern/runtime';
import type { Kysely } from 'kysely';
import { z } from 'zod';
import { holdLineageAlone } from '../db/locks.ts';
import type { Schema } from '../db/schema.ts';
import { tenantOf } from '../exchanges/tenant-of.ts';
import type { PolicyStore } from '../policy/policy-store.ts';
import { revokeToken } from '../revocations/revoke-descendants.ts';
import { namesOfWorkload } from '../workloads/names-of-workload.ts';

export type CreateRevocation = {
  db: Kysely<Schema>;
  sequence: RevocationSequence;
  issuer: Pick<Issuer, 'issuer' | 'replaceKey' | 'reload'>;
  policies: Pick<PolicyStore, 'current'>;
  now: () => Date;
};

/** The role of those who run Postern itself, for whatever tenant. */
const OPERATOR = 'operator';

/** The farthest that `before` may lie ahead: no one is locked out by a slip of the pen. */
const MAX_AHEAD_SECONDS = 60;

/**
 * What an administrator revokes (R14): one token with its descendants, or a person's tokens up to a time, of their own
 * tenant; an operator also a workload's, which acts for many, and a signing key of this service with all that it ever signed
 * (R13). Sessions and grants are auth-manager's to end.
 */
export const createRevocation = (deps: CreateRevocation) =>
  route({
    method: 'POST',
    path: '/v1/revocations',
    listener: 'api',
    summary: 'Revoke a token, a person’s tokens, a workload’s, or a signing key’s',
    description:
      "For one's own tenant `token` and `subject`; an operator also `client`, which acts for many, and `key` with all that it ever signed. Sessions and grants are ended at auth-manager. Every replica of every service follows within seconds.",
    scope: 'tokens:revoke',
    audit: 'token.revoked',
    body: z.strictObject({ target: revocationTarget }),
    answers: {
      201: z.strictObject({
        target: revocationTarget,
        tokens: z.int().nonnegative().describe('with `token`: how many lived, its descendants among them'),
      }),
    },
    problems: ['revocation_refused', 'token_not_found', 'key_not_found', 'operator_required'],
    async handle({ principal, body: { target } }, audit) {
      assertOffered(deps, target, principal);
      const { document } = await deps.policies.current();
      const released = await deps.db.transaction().execute(async (tx) => {
        const tokens = await revoked(target);
        const resource = { type: target.kind, id: nameOf(target) };
        return audit.within(
          tx,
          { resource, details: { cause: 'administrator', tokens } },
          { status: 201, body: { target, tokens } },
        );

        async function revoked(what: RevocationTarget): Promise<number> {
          if (what.kind === 'token') {
            if ((await tenantOf(tx, deps.issuer, what)) !== principal.tenant) throw problem('token_not_found');
            return revokeToken(tx, deps, what);
          }
          await holdLineageAlone(tx);
          if (what.kind === 'key' && !(await deps.issuer.replaceKey(queryIn(tx), what.keyId)))
            throw problem('key_not_found');
          const targets =
            what.kind === 'client'
              ? namesOfWorkload(document, what.client).map((client) => ({ ...what, client }))
              : [what];
          await deps.sequence.revoke(queryIn(tx), targets);
          return 0;
        }
      });
      // It is committed: where the keys cannot be read now, nothing is signed until they were.
      if (target.kind === 'key') await deps.issuer.reload().catch(() => undefined);
      return released;
    },
  });

const offered: readonly RevocationTarget['kind'][] = ['token', 'subject', 'client', 'key'];

/** @throws Problem `revocation_refused` for what is not this service's to revoke, and for another tenant's person */
function assertOffered(deps: CreateRevocation, target: RevocationTarget, { tenant, roles }: Principal): void {
  const refuse = (field: string, rule: string) =>
    problem('revocation_refused', { fields: [{ field: `body.target.${field}`, rule }] });
  if (!offered.includes(target.kind)) throw refuse('kind', 'not_offered');
  if ((target.kind === 'client' || target.kind === 'key') && !roles.has(OPERATOR)) throw problem('operator_required');
  if (target.kind === 'key' && target.issuer !== deps.issuer.issuer) throw refuse('issuer', 'another_issuer');
  if (target.kind === 'subject' && target.tenant !== tenant) throw refuse('tenant', 'another_tenant');
  if ('before' in target && target.before > deps.now().getTime() / 1000 + MAX_AHEAD_SECONDS)
    throw refuse('before', 'in_the_future');
}

function nameOf(target: RevocationTarget): string {
  switch (target.kind) {
    case 'token':
      return target.tokenId;
    case 'subject':
      return target.sub;
    case 'client':
      return target.client;
    case 'key':
      return target.keyId;
    default:
      throw new TypeError(`${target.kind} is not revoked here`);
  }
}
