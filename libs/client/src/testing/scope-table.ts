import { refused, type LocalRules } from './local-rules.ts';

/** What becomes of a scope that is asked for: given, refused, or given once somebody has approved. */
export type LocalDecision = 'allow' | 'deny' | 'approve';

export type ScopeTable = Readonly<Record<string, { audience: string; decision?: LocalDecision }>>;

const CLIENT_ID = 'local';

/** One client, and a table of scopes in the place of a policy: whoever it asks for is believed. */
export function scopeTable(known: ScopeTable, lifetimeSeconds: number): LocalRules {
  return {
    clients: [CLIENT_ID],
    usual: { client: CLIENT_ID, audience: CLIENT_ID },
    decide({ subject, audiences, scopes, approved }) {
      const entries = scopes.map((scope) => known[scope]);
      if (scopes.length === 0)
        return refused('no_scope_asked', 400, 'invalid_scope', 'Name the scopes that are needed');
      if (entries.some((entry) => entry === undefined))
        return refused('scope_unknown', 400, 'invalid_scope', 'There is no such scope');
      const owners = [...new Set(entries.map((entry) => entry!.audience))];
      if (audiences.length > 0 && owners.some((owner) => !audiences.includes(owner)))
        return refused('target_unknown', 400, 'invalid_target', 'The audience does not take that scope');
      if (entries.some((entry) => entry?.decision === 'deny'))
        return refused('always_denied', 403, 'insufficient_scope', 'The scope is not given out');
      if (!approved && entries.some((entry) => entry?.decision === 'approve')) return { outcome: 'pending' };
      const [first, ...more] = audiences.length > 0 ? audiences : owners;
      const claims = {
        sub: String(subject.sub),
        ...(first !== undefined && { aud: more.length > 0 ? [first, ...more] : first }),
        scope: scopes.join(' '),
        act: { sub: CLIENT_ID },
      };
      return { outcome: 'given', claims, lifetimeSeconds };
    },
  };
}
