import type { Decision, Rule } from './evaluate.ts';

/** What an OAuth client is told of a refusal. Descriptions name no received value. */
export type RefusalAnswer<Code extends string = string> = { status: 400 | 401 | 403; error: Code; description: string };

const target = (description: string) => ({ status: 400, error: 'invalid_target', description }) as const;
const scope = (description: string) => ({ status: 400, error: 'invalid_scope', description }) as const;
const denied = (description: string) => ({ status: 403, error: 'access_denied', description }) as const;
const client = (description: string) => ({ status: 403, error: 'unauthorized_client', description }) as const;
const insufficient = (description: string) => ({ status: 403, error: 'insufficient_scope', description }) as const;
const login = (description: string) =>
  ({ status: 401, error: 'insufficient_user_authentication', description }) as const;

/** One table: rule -> the error of RFC 6749 section 5.2, RFC 8693 section 2.2.2, RFC 6750 section 3.1 or RFC 9470 section 3. */
export const ruleAnswers = {
  tenant_unknown: denied('The tenant of the subject is not known here'),
  tenant_suspended: denied('The tenant of the subject is suspended'),
  person_of_another_issuer: denied('The person is not of this tenant'),
  workload_unknown: client('Policy gives this workload nothing to exchange'),
  workload_compromised: client('This workload gets nothing'),
  target_unknown: target('There is no such audience'),
  no_ask: target('Policy does not let this workload ask for that audience on behalf of this subject'),
  several_at_provider: target(
    'audience: the identity provider gives out tokens for one audience each; ask for each by itself',
  ),
  no_scope_asked: scope('Name the scopes that are needed'),
  scope_unknown: scope('The audience has no such scope'),
  scope_not_asked_for: scope('Policy does not let this workload ask for that scope on behalf of this subject'),
  above_ceiling: scope('The scope is beyond what the subject token may lead to'),
  role_missing: insufficient('The person lacks the role that the scope needs'),
  login_too_weak: login('The scope needs a stronger login'),
  login_too_old: login('The scope needs a newer login'),
  approval_needed: insufficient('The scope needs an approval'),
  always_denied: insufficient('The scope is not given out by exchange'),
} as const satisfies Record<Rule, RefusalAnswer>;

/** The rule that a refusal is told by, and the scopes that were refused. Nobody is asked to approve, or to log in again, for what would be refused all the same. */
export function ruleOf({ denied: whole, refused }: Decision): { rule: Rule; scopes: readonly string[] } | undefined {
  const rank = ({ rule }: Decision['refused'][number]) =>
    rule === 'approval_needed' ? 2 : rule === 'login_too_weak' || rule === 'login_too_old' ? 1 : 0;
  const [first] = refused.toSorted((a, b) => rank(a) - rank(b));
  const rule = whole ?? first?.rule;
  return rule && { rule, scopes: refused.map(({ scope: name }) => name) };
}
