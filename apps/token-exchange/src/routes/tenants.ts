import { route } from '@postern/http';
import type { RevocationSequence } from '@postern/issuer';
import { tenantId } from '@postern/oidc';
import { problem } from '@postern/runtime';
import type { Kysely } from 'kysely';
import { z } from 'zod';
import type { Schema } from '../db/schema.ts';
import type { PolicyStore, StoredPolicy } from '../policy/policy-store.ts';
import { insertTenant, setTenantState, tenantStates } from '../tenants/tenant-state.ts';

export type TenantRoutes = {
  db: Kysely<Schema>;
  policies: PolicyStore;
  sequence: RevocationSequence;
  now: () => Date;
};

/** Tenants of this deployment, beside those that the policy names; for operators only. */
export const tenantRoutes = (deps: TenantRoutes) => [
  listTenants(deps),
  createTenant(deps),
  changeTenant(deps),
  offboardTenant(deps),
];

const tenant = z.strictObject({
  id: z.string().describe('its id'),
  issuer: z.string().nullable().describe('the realm whose people belong to it'),
  state: z.enum(tenantStates),
});
const common = { listener: 'api', role: 'operator' } as const;

const listTenants = ({ db, policies }: TenantRoutes) =>
  route({
    ...common,
    method: 'GET',
    path: '/v1/tenants',
    summary: 'The tenants by name; namespaces of the policy are not among them',
    scope: 'tenants:read',
    audit: 'tenant.listed',
    answers: { 200: z.strictObject({ tenants: z.array(tenant) }) },
    async handle(_, audit) {
      const rows = await db.selectFrom('tenants').select(['id', 'issuer', 'state']).orderBy('id').execute();
      const named = namedBy(await policies.current()).filter(({ id }) => rows.every((row) => row.id !== id));
      const tenants = [...named, ...rows].toSorted((a, b) => (a.id < b.id ? -1 : 1));
      return audit.released({ details: { count: tenants.length } }, { status: 200, body: { tenants } });
    },
  });

const namedBy = ({ written }: StoredPolicy) =>
  written.tenants.flatMap((one) =>
    'id' in one ? [{ id: one.id, issuer: one.issuer ?? null, state: one.state as 'active' | 'suspended' }] : [],
  );

const createTenant = (deps: TenantRoutes) =>
  route({
    ...common,
    method: 'POST',
    path: '/v1/tenants',
    summary: 'Create a tenant',
    scope: 'tenants:write',
    audit: 'tenant.created',
    body: z.strictObject({
      id: tenantId.describe('not one of a reserved namespace (R2)'),
      issuer: z
        .url({ protocol: /^https$/ })
        .max(512)
        .optional()
        .describe('the realm whose people belong to it'),
    }),
    answers: { 201: tenant },
    problems: ['tenant_exists', 'tenant_reserved'],
    handle: ({ principal, body: { id, issuer = null } }, audit) =>
      deps.db.transaction().execute((tx) =>
        deps.policies.change(tx, async ({ written }, within) => {
          if (written.tenants.some((one) => 'prefix' in one && id.startsWith(one.prefix)))
            throw problem('tenant_reserved');
          if (written.tenants.some((one) => 'id' in one && one.id === id)) throw problem('tenant_exists');
          const madeBy = principal.person?.sub ?? principal.clientId;
          if (!(await insertTenant(within, { id, issuer, madeBy }, deps.now()))) throw problem('tenant_exists');
          const body = { id, issuer, state: 'active' as const };
          return audit.within(tx, { resource: { type: 'tenant', id }, details: {} }, { status: 201, body });
        }),
      ),
  });

/** A suspended tenant gets nothing, and what it had is revoked at once (R14); taken back, it asks anew. */
const changeTenant = (deps: TenantRoutes) =>
  route({
    ...common,
    method: 'PATCH',
    path: '/v1/tenants/:id',
    summary: 'Suspend a tenant, or take that back',
    description: 'A suspended one gets nothing, and what it had is revoked at once; taken back, it asks anew.',
    scope: 'tenants:write',
    audit: 'tenant.suspended',
    params: z.strictObject({ id: tenantId }),
    body: z.strictObject({ state: z.enum(['active', 'suspended']) }),
    answers: { 200: tenant },
    problems: ['tenant_not_found', 'tenant_gone'],
    handle: ({ principal, params: { id }, body: { state } }, audit) =>
      deps.db.transaction().execute((tx) =>
        deps.policies.change(tx, async (policy, within) => {
          const madeBy = principal.person?.sub ?? principal.clientId;
          const { issuer } = await setTenantState(within, deps, policy, { id, state, madeBy });
          const action = state === 'active' ? ('tenant.resumed' as const) : ('tenant.suspended' as const);
          const what = { action, resource: { type: 'tenant', id }, details: {} };
          return audit.within(tx, what, { status: 200, body: { id, issuer, state } });
        }),
      ),
  });

/** For ever. What services hold for it is theirs to destroy; the receipt says since when nothing is given out. */
const offboardTenant = (deps: TenantRoutes) =>
  route({
    ...common,
    method: 'DELETE',
    path: '/v1/tenants/:id',
    summary: 'Offboard a tenant: nothing is ever given out for it again',
    description:
      'For ever. What services hold for it is theirs to destroy; the receipt says since when nothing is given out.',
    scope: 'tenants:write',
    audit: 'tenant.offboarded',
    params: z.strictObject({ id: tenantId }),
    answers: {
      200: z.strictObject({
        tenant: z.string().describe('its id'),
        state: z.literal('offboarded'),
        offboardedAt: z.iso.datetime(),
        /** Every token of the tenant that was issued before this is refused everywhere. */
        tokensRevokedBefore: z.iso.datetime(),
      }),
    },
    problems: ['tenant_not_found', 'tenant_gone'],
    handle: ({ principal, params: { id } }, audit) =>
      deps.db.transaction().execute((tx) =>
        deps.policies.change(tx, async (policy, within) => {
          const madeBy = principal.person?.sub ?? principal.clientId;
          const { revokedBefore } = await setTenantState(within, deps, policy, { id, state: 'offboarded', madeBy });
          const at = deps.now().toISOString();
          return audit.within(
            tx,
            { resource: { type: 'tenant', id }, details: {} },
            {
              status: 200,
              body: {
                tenant: id,
                state: 'offboarded' as const,
                offboardedAt: at,
                tokensRevokedBefore: revokedBefore?.toISOString() ?? at,
              },
            },
          );
        }),
      ),
  });
