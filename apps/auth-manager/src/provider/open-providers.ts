import type { Profile } from '@postern/profile';
import type { Egress } from '@postern/egress';
import { readClientKey } from '@postern/oidc';
import type { Logger } from '@postern/runtime';
import { createRemoteJWKSet, customFetch, type JWK, type JWTVerifyGetKey } from 'jose';
import type { ProvidersTable } from '../db/schema.ts';
import type { ClientIdentity } from './client-identity.ts';
import { operatorsIdentity, registrationAt, tenantsIdentity } from './identity-at.ts';
import { openProviderCalls } from './open-provider-calls.ts';
import type { ProviderCalls, ProviderOf } from './provider-calls.ts';
import { heldKeys, type KeysAt, publicHalf, type ServiceKeys } from './service-keys.ts';

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
  /** Every registration at an issuer, with the tenant (null: the operator's, for every tenant); those that are disabled come last. */
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

const KEY_SETTING = 'POSTERN_PROVIDER_CLIENT_KEY_PATH';

/** Opens the providers of this service. Nothing is fetched before the first call to one of them. */
export function openProviders(deps: OpenProviders): Providers {
  const { config, db } = deps;
  const fileKey = config.clientKeyPath === undefined ? undefined : readClientKey(KEY_SETTING, config.clientKeyPath);
  const operators = { tenant: '', provider: config.issuer };
  const own = { provider: config.issuer, clientId: config.clientId, scopes: config.scopes, registered: false };
  const isOwn = (issuer: string) => issuer === config.issuer;
  const { keep, keysOf, forget } = keepProviders(deps, fileKey);

  return {
    operator: keep(operators).calls,
    of: (at) => keep(at).calls,
    async find({ tenant, issuer }) {
      if (isOwn(issuer)) return { tenant, ...own };
      const held = await registrationAt(db, tenant, issuer);
      return held ? registrationOf(held) : null;
    },
    async at(issuer) {
      const rows = await db
        .selectFrom('providers')
        .selectAll()
        .where('issuer', '=', issuer)
        .orderBy('state')
        .orderBy('id')
        .execute();
      return [...(isOwn(issuer) ? [{ tenant: null, ...own }] : []), ...rows.map(registrationOf)];
    },
    keysOf,
    keyIsAFile: fileKey !== undefined,
    async clientKeys() {
      if (fileKey) return [publicHalf(fileKey)];
      return (await heldKeys(deps, operators, 'client')).published.map(publicHalf);
    },
    forget,
  };
}

/** What is kept of each provider from its first use on: its calls, its keys, and who we are there. */
function keepProviders(deps: OpenProviders, fileKey: JWK | undefined) {
  const kept = new Map<string, Kept>();
  const isOwn = (provider: string) => provider === deps.config.issuer;
  const wayTo = (provider: string) => (isOwn(provider) ? deps.egress : deps.tenantEgress);
  const nameOf = ({ tenant, provider }: KeysAt) => (isOwn(provider) ? provider : `${tenant}\n${provider}`);

  // Whoever asks may bring a whole row: only its place counts.
  function keep({ tenant, provider }: KeysAt): Kept {
    const at = { tenant, provider };
    const one = kept.get(nameOf(at)) ?? newlyKept(at);
    kept.set(nameOf(at), one);
    return one;
  }
  function newlyKept(at: KeysAt): Kept {
    const { provider: issuer } = at;
    const read = reading(() =>
      isOwn(issuer) ? operatorsIdentity(deps, deps.config, fileKey) : tenantsIdentity(deps, at),
    );
    const { logger, profile, now } = deps;
    const spec = { issuer, identity: read.get, egress: wayTo(issuer), logger, profile, now };
    return { calls: openProviderCalls({ ...spec, keys: () => keysOf(at) }), keys: undefined, read };
  }
  function keysOf(at: KeysAt): JWTVerifyGetKey {
    const one = keep(at);
    return async (header, token) => {
      const uri = await one.calls.jwksUri();
      if (one.keys?.at !== uri) one.keys = { at: uri, get: keySetAt(uri, wayTo(at.provider)) };
      return one.keys.get(header, token);
    };
  }
  function forget(at: KeysAt): void {
    if (isOwn(at.provider)) kept.get(nameOf(at))?.read.forget();
    else kept.delete(nameOf(at));
  }
  return { keep, keysOf, forget };
}
