import { createHash } from 'node:crypto';
import type { Profile } from '@postern/profile';
import type { Egress } from '@postern/egress';
import { type Logger, problem } from '@postern/runtime';
import { createRemoteJWKSet, customFetch, type JWK, type JWTVerifyGetKey } from 'jose';
import type { ProvidersTable } from '../db/schema.ts';
import { openText } from '../grants/vault.ts';
import { readClientKey } from './client-key.ts';
import type { ClientIdentity } from './client-identity.ts';
import { openProviderCalls } from './open-provider-calls.ts';
import type { ProviderCalls, ProviderOf } from './provider-calls.ts';
import { heldKeys, publicHalf, type ServiceKeys } from './service-keys.ts';

export type ProviderConfig = {
  readonly issuer: string;
  readonly clientId: string;
  readonly clientKeyPath: string | undefined;
  readonly scopes: readonly string[];
};

export type OpenProviders = ServiceKeys & {
  config: ProviderConfig;
  /** The way to the operator's provider, and the one to those that tenants named (R35). */
  egress: Egress;
  tenantEgress: Egress;
  logger: Logger;
  profile: Profile;
};

/** A provider as this service is registered there. */
export type Registration = {
  tenant: string;
  provider: string;
  clientId: string;
  scopes: readonly string[];
  /** By the tenant; false: the operator's. */
  registered: boolean;
};

/** The operator's provider and those of tenants. None of them is a trusted issuer by being here (R1). */
export type Providers = {
  /** The operator's own. */
  operator: ProviderCalls;
  of: ProviderOf;
  /** Where a person of that issuer consents: R18 holds only at the provider who names that person. Null for none. */
  find(at: { tenant: string; issuer: string }): Promise<Registration | null>;
  /** Every registration at an issuer, with the tenant (null: the operator's, for every tenant). */
  at(issuer: string): Promise<(Omit<Registration, 'tenant'> & { tenant: string | null })[]>;
  /** The signing keys of a provider, fetched through its guarded way, at most once in 30 seconds. */
  keysOf(at: { tenant: string; provider: string }): JWTVerifyGetKey;
  /** Whether the operator gave the client key of its provider as a file, and rotates it there. */
  keyIsAFile: boolean;
  /** Public client keys for the operator's provider. */
  clientKeys(): Promise<JWK[]>;
  /** Forgets what was read of a tenant's provider: after a change here. Others do within {@link REREAD_MS}. */
  forget(at: { tenant: string; provider: string }): void;
};

/** What stands in the database is read again after this: a rotated key, a changed registration. */
const REREAD_MS = 2_000;

type Kept = {
  calls: ProviderCalls;
  keys: { at: string; get: JWTVerifyGetKey } | undefined;
  read: Reading<ClientIdentity>;
};
type Reading<T> = { get(): Promise<T>; forget(): void };

/** A key set by its address: looked at once in 30 seconds at most, again after ten minutes. */
const keySetAt = (uri: string, way: Egress): JWTVerifyGetKey =>
  createRemoteJWKSet(new URL(uri), {
    [customFetch]: (url, init) => way.fetch(url, init),
    cooldownDuration: 30_000,
    cacheMaxAge: 600_000,
  });

/** Reads again once what it has is older than {@link REREAD_MS}; those who ask meanwhile share one look. */
function reading<T>(read: () => Promise<T>): Reading<T> {
  let kept: { value: Promise<T>; at: number } | undefined;
  return {
    get() {
      if (kept === undefined || performance.now() - kept.at > REREAD_MS) {
        const value = read();
        kept = { value, at: performance.now() };
        value.catch(() => (kept = undefined));
      }
      return kept.value;
    },
    forget: () => (kept = undefined),
  };
}

/** Opens the providers of this service. Nothing is fetched before the first call to one of them. */
export function openProviders(deps: OpenProviders): Providers {
  const { config, db, vault, egress, tenantEgress, logger, profile, now } = deps;
  const fileKey = config.clientKeyPath === undefined ? undefined : readClientKey(config.clientKeyPath);
  const kept = new Map<string, Kept>();

  async function ownIdentity(): Promise<ClientIdentity> {
    const at = { tenant: '', provider: config.issuer };
    const client = fileKey ? { signs: fileKey, number: 0 } : await heldKeys(deps, at, 'client');
    const dpop = await heldKeys(deps, at, 'dpop');
    const proof = { clientKey: client.signs };
    const generation = `${client.number} ${dpop.number}`;
    return { clientId: config.clientId, proof, dpopKey: dpop.signs, generation };
  }
  const row = (tenant: string, issuer: string) =>
    db
      .selectFrom('providers')
      .selectAll()
      .where((one) => one.and({ tenant, issuer, state: 'active' as const }))
      .executeTakeFirst();

  async function identityOf(tenant: string, provider: string): Promise<ClientIdentity> {
    const held = await row(tenant, provider);
    if (!held) throw problem('provider_unavailable');
    const [client, dpop] = [
      await heldKeys(deps, { tenant, provider }, 'client'),
      await heldKeys(deps, { tenant, provider }, 'dpop'),
    ];
    const { id, client_id: clientId, sealed_secret: sealed } = held;
    const proof = sealed
      ? { clientSecret: await openText(vault, { tenant, what: 'client-secret', id }, sealed) }
      : { clientKey: client.signs };
    // A secret that was replaced was sealed anew.
    const sealing = sealed ? createHash('sha256').update(sealed).digest('hex') : '';
    const generation = [id, clientId, client.number, dpop.number, sealing].join(' ');
    return { clientId, proof, dpopKey: dpop.signs, generation };
  }

  const isOwn = (provider: string) => provider === config.issuer;
  const ways = (provider: string) => (isOwn(provider) ? egress : tenantEgress);

  function keep({ tenant, provider }: { tenant: string; provider: string }): Kept {
    const name = isOwn(provider) ? provider : `${tenant}\n${provider}`;
    let one = kept.get(name);
    if (!one) {
      const read = reading(isOwn(provider) ? ownIdentity : () => identityOf(tenant, provider));
      const spec = { issuer: provider, identity: read.get, egress: ways(provider), logger, profile, now };
      one = { calls: openProviderCalls({ ...spec, keys: () => keysOf({ tenant, provider }) }), keys: undefined, read };
      kept.set(name, one);
    }
    return one;
  }
  function keysOf(at: { tenant: string; provider: string }): JWTVerifyGetKey {
    const one = keep(at);
    return async (header, token) => {
      const uri = await one.calls.jwksUri();
      if (one.keys?.at !== uri) one.keys = { at: uri, get: keySetAt(uri, ways(at.provider)) };
      return one.keys.get(header, token);
    };
  }
  const registrationOf = ({
    tenant,
    issuer,
    client_id,
    scopes,
  }: Pick<ProvidersTable, 'tenant' | 'issuer' | 'client_id' | 'scopes'>): Registration => ({
    tenant,
    provider: issuer,
    clientId: client_id,
    scopes,
    registered: true,
  });
  const own = { provider: config.issuer, clientId: config.clientId, scopes: config.scopes, registered: false };

  return {
    operator: keep({ tenant: '', provider: config.issuer }).calls,
    of: (at) => keep(at).calls,
    async find({ tenant, issuer }) {
      if (isOwn(issuer)) return { tenant, ...own };
      const held = await row(tenant, issuer);
      return held ? registrationOf(held) : null;
    },
    async at(issuer) {
      const rows = await db.selectFrom('providers').selectAll().where('issuer', '=', issuer).execute();
      return [...(isOwn(issuer) ? [{ tenant: null, ...own }] : []), ...rows.map(registrationOf)];
    },
    keysOf,
    keyIsAFile: fileKey !== undefined,
    async clientKeys() {
      if (fileKey) return [publicHalf(fileKey)];
      return (await heldKeys(deps, { tenant: '', provider: config.issuer }, 'client')).published.map(publicHalf);
    },
    forget(at) {
      if (isOwn(at.provider)) kept.get(at.provider)?.read.forget();
      else kept.delete(`${at.tenant}\n${at.provider}`);
    },
  };
}
