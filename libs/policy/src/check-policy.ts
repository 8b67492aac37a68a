import { z } from 'zod';
import type { PolicyDocument } from './document.ts';
import { subjectKinds } from './document-shape.ts';
import { evaluateTogether } from './evaluate-together.ts';

const name = z.string().min(1).max(128);

const check = z.strictObject({
  name: z.string().min(1).max(256).describe('what must hold, in words'),
  when: z.strictObject({
    tenant: name,
    person: z.strictObject({ issuer: z.string(), sub: z.string() }).nullable().default(null),
    roles: z.array(name).default([]),
    workload: name,
    subjectClient: name,
    subjectKind: z.enum(subjectKinds),
    audience: z.union([name, z.array(name).min(1).max(16)]).describe('several: for one token that all of them accept'),
    scopes: z.array(name),
    ceiling: z.array(name).optional(),
    login: z.strictObject({ acr: name.optional(), ageSeconds: z.int().nonnegative().optional() }).optional(),
  }),
  expect: z.union([
    z.strictObject({ granted: z.array(name).min(1), longestLifeSeconds: z.int().positive().optional() }),
    z.strictObject({ refused: z.string().min(1).describe('the rule that decides: `no_ask`, `role_missing`, ...') }),
  ]),
});

/** A file of expectations about a policy. */
export const policyChecks = z.strictObject({ $schema: z.string().optional(), checks: z.array(check).min(1) });
export type PolicyChecks = z.output<typeof policyChecks>;

export type CheckResult = { name: string; holds: boolean; expected: string; decided: string };

/** Holds a policy to its expectations, in their order. Pure. */
export function checkPolicy(policy: PolicyDocument, { checks }: PolicyChecks): CheckResult[] {
  return checks.map(({ name: called, when, expect }) => {
    const { audience, scopes, roles, ceiling, login, ...asked } = when;
    const { granted, longestLifeSeconds, decidedBy } = evaluateTogether(policy, {
      ...asked,
      audiences: [audience].flat(),
      roles: new Set(roles),
      requestedScopes: scopes,
      ...(ceiling && { ceiling: new Set(ceiling) }),
      ...(login && { login }),
    });
    const life = 'longestLifeSeconds' in expect ? longestLifeSeconds : undefined;
    const decided = granted.length > 0 ? said(granted, life) : decidedBy;
    const expected = 'refused' in expect ? expect.refused : said(expect.granted, expect.longestLifeSeconds);
    return { name: called, holds: decided === expected, expected, decided };
  });
}

const said = (granted: readonly string[], life: number | undefined): string =>
  `grants ${granted.toSorted().join(' ')}${life === undefined ? '' : ` for ${life} s`}`;
