import type { z } from 'zod';
import type { documentShape } from './document-shape.ts';

type Parts = z.output<typeof documentShape>;
type Refuse = (message: string, ...path: (string | number)[]) => void;
/** The names that there are, for those that point to them. */
type Named = {
  readonly roles: ReadonlySet<string>;
  readonly targets: ReadonlySet<string>;
  readonly audienceOf: ReadonlyMap<string, string>;
};

/** Refuses names that stand twice and names that point nowhere; each part of the document is right by itself already. */
export function checkReferences(policy: Parts, context: z.RefinementCtx): void {
  const refuse: Refuse = (message, ...path) => context.addIssue({ code: 'custom', message, path });
  const named = {
    roles: new Set(policy.roles.map((one) => one.name)),
    targets: new Set(policy.targets.map((one) => one.audience)),
    audienceOf: new Map(policy.scopes.map((one) => [one.name, one.audience])),
  };
  checkNames(policy, refuse);
  checkQuotas(policy, named, refuse);
  checkRolesAndScopes(policy, named, refuse);
  checkApprovers(policy, named, refuse);
  checkWorkloads(policy, named, refuse);
}

function checkNames(policy: Parts, refuse: Refuse): void {
  const once = (list: keyof Parts, names: readonly string[]) =>
    names.forEach((value, at) => {
      if (names.indexOf(value) !== at) refuse('stands twice', list, at);
    });
  once(
    'roles',
    policy.roles.map((one) => one.name),
  );
  once(
    'targets',
    policy.targets.map((one) => one.audience),
  );
  once(
    'scopes',
    policy.scopes.map((one) => one.name),
  );
  once(
    'workloads',
    policy.workloads.map((one) => one.name),
  );
  once(
    'tenants',
    policy.tenants.map((one) => ('id' in one ? one.id : one.prefix)),
  );
  once(
    'targets',
    policy.targets.flatMap((one) => one.resources),
  );
}

function checkQuotas(policy: Parts, { targets }: Named, refuse: Refuse): void {
  const limited = (quotas: object | undefined, ...path: (string | number)[]) =>
    Object.keys(quotas ?? {}).forEach((audience) => {
      if (!targets.has(audience)) refuse('no such target', ...path, 'quotas', audience);
    });
  limited(policy.quotas);
  policy.tenants.forEach((one, at) => limited(one.quotas, 'tenants', at));
}

function checkRolesAndScopes(policy: Parts, { roles, targets }: Named, refuse: Refuse): void {
  policy.roles.forEach((one, at) => {
    if (one.includes.some((included) => !roles.has(included))) refuse('no such role', 'roles', at, 'includes');
  });
  policy.scopes.forEach((one, at) => {
    if (!targets.has(one.audience)) refuse('no such target', 'scopes', at, 'audience');
    if (one.role !== undefined && !roles.has(one.role)) refuse('no such role', 'scopes', at, 'role');
  });
}

function checkApprovers(policy: Parts, { roles, audienceOf }: Named, refuse: Refuse): void {
  const approver = policy.approvals?.role;
  if (approver !== undefined && !roles.has(approver)) refuse('no such role', 'approvals', 'role');
  if (!policy.emergency) return;
  const { role: least, lends, scopes } = policy.emergency;
  if (!policy.approvals) refuse('needs approvals', 'emergency');
  if (!roles.has(least)) refuse('no such role', 'emergency', 'role');
  if (!roles.has(lends)) refuse('no such role', 'emergency', 'lends');
  const minted = new Set(policy.targets.filter((one) => one.minter === 'postern').map((one) => one.audience));
  if (scopes.some((wanted) => !minted.has(audienceOf.get(wanted) ?? ''))) {
    refuse('a scope that nobody mints here', 'emergency', 'scopes');
  }
}

function checkWorkloads({ workloads }: Parts, { targets, audienceOf }: Named, refuse: Refuse): void {
  workloads.forEach((one, at) => {
    // A client, without one its name, is how a workload is found: of two that share it the first would be taken for both.
    const others = workloads.filter((other) => other !== one);
    if (others.some(({ spiffeId }) => spiffeId === one.spiffeId))
      refuse('another one’s too', 'workloads', at, 'spiffeId');
    if (one.client !== undefined && others.some(({ name: called, client }) => [called, client].includes(one.client)))
      refuse('another one’s too', 'workloads', at, 'client');
    one.asks.forEach((asked, index) => {
      const path = ['workloads', at, 'asks', index] as const;
      if (!targets.has(asked.audience)) refuse('no such target', ...path, 'audience');
      const foreign = [...asked.scopes, ...Object.keys(asked.derivedFrom)].some(
        (wanted) => audienceOf.get(wanted) !== asked.audience,
      );
      if (foreign) refuse('a scope that this target does not have', ...path, 'scopes');
    });
  });
}
