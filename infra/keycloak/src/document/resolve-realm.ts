import { type PolicyDocument } from '@postern/policy';

import { policyBeside } from './beside.ts';
import { type Origin, type Resolved } from './settings.ts';
import { type Reading } from './reading.ts';
import { realmOptions, type RealmOption, type RealmOptions } from './realm-options.ts';
import { resolveClient, type ResolvedClient } from './resolve-client.ts';
import { type Document } from './schema.ts';
import { type RealmTable } from './schema/realm.ts';
import { SMS_REASON } from './reasons.ts';

export type ResolvedRealm = {
  /** The name of its table. */
  id: string;
  name: string;
  table: RealmTable;
  options: RealmOptions;
  mfaMethods: readonly ('totp' | 'webauthn')[];
  clients: readonly ResolvedClient[];
  resolved: Resolved;
  policy?: PolicyDocument;
};

const standardMethods = ['totp', 'webauthn'] as const;

/** Fills in profile and defaults, realm by realm, and refuses what is weaker than the profile without a waiver. */
export function resolveRealms({ keycloak, secrets }: Document, reading: Reading): ResolvedRealm[] {
  if (!keycloak) return [];
  const ids = Object.keys(keycloak.realm).sort();
  if (keycloak.enable && ids.length === 0)
    reading.refuse(['keycloak', 'realm'], 'there is no realm', {
      allowed: 'a table [keycloak.realm.NAME]',
      control: 'AC-3',
    });
  if (keycloak.tenancy === 'shared-realm' && ids.length > 1)
    reading.refuse(['keycloak', 'tenancy'], 'a shared realm is one realm', {
      allowed: 'one [keycloak.realm.NAME], or realm-per-app',
    });
  const homes = homesOf(keycloak, ids, reading);
  const known = new Set<string>();
  const realms = ids.map((id) => {
    const table = keycloak.realm[id] as RealmTable;
    const resolved: Resolved = [];
    const options = optionsOf(table, id, reading, resolved);
    const mfaMethods = methodsOf(table, id, reading, resolved);
    const clients = Object.keys(keycloak.client)
      .sort()
      .filter((client) => homes.get(client) === id)
      .map((client) => resolveClient(client, keycloak, secrets, reading, resolved));
    const twice = clients.find((one, at) => clients.findIndex((other) => other.clientId === one.clientId) !== at);
    if (twice)
      reading.refuse(['keycloak', 'client', twice.id, 'client_id'], 'another client of this realm has this id');
    const name = table.name ?? id;
    if (name === 'master')
      reading.refuse(['keycloak', 'realm', id], "is the administrators' own realm", { control: 'AC-6' });
    if (known.has(name)) reading.refuse(['keycloak', 'realm', id, 'name'], 'another realm has this name');
    known.add(name);
    const policy = table.policy ? policyBeside(reading, ['keycloak', 'realm', id, 'policy'], table.policy) : undefined;
    return { id, name, table, options, mfaMethods, clients, resolved, ...(policy ? { policy } : {}) };
  });
  flatSecrets(secrets, keycloak.client, reading);
  return realms;
}

/** The realm of each client: the one it names, or the only one there is. */
function homesOf(keycloak: NonNullable<Document['keycloak']>, realms: readonly string[], { refuse }: Reading) {
  const homes = new Map<string, string>();
  for (const [id, client] of Object.entries(keycloak.client)) {
    const home = client.realm ?? (realms.length === 1 ? realms[0] : undefined);
    if (home === undefined)
      refuse(['keycloak', 'client', id, 'realm'], 'is missing', { allowed: realms.join(', ') || 'a realm' });
    else if (!realms.includes(home))
      refuse(['keycloak', 'client', id, 'realm'], 'is no realm of this document', { allowed: realms.join(', ') });
    else homes.set(id, home);
  }
  return homes;
}

function optionsOf(table: RealmTable, id: string, reading: Reading, resolved: Resolved): RealmOptions {
  const values: Record<string, unknown> = {};
  for (const [key, given] of Object.entries(realmOptions)) {
    const option = given as RealmOption<never>;
    const path = ['keycloak', 'realm', id, 'overrides', key] as const;
    const ofProfile = option.profile?.(reading.profile);
    const standard = (ofProfile ?? option.standard) as never;
    const override = (table.overrides as Record<string, unknown>)[key] as never;
    const origin: Origin =
      override !== undefined
        ? { from: 'override', line: reading.lineOf(path) }
        : ofProfile !== undefined
          ? { from: 'profile', profile: reading.profile.name }
          : { from: 'default' };
    const allowed = override === undefined ? undefined : option.weaker(override, standard);
    if (allowed) reading.waivers.weaker(reading, path, { allowed, control: option.control });
    values[key] = override ?? standard;
    resolved.push({ key: `keycloak.realm.${id}.${key}`, value: values[key], origin, control: option.control });
  }
  const options = values as RealmOptions;
  if (options.session_idle_timeout > options.session_max_lifespan)
    reading.refuse(
      ['keycloak', 'realm', id, 'overrides', 'session_idle_timeout'],
      'is longer than session_max_lifespan',
      {
        allowed: `at most ${options.session_max_lifespan}`,
      },
    );
  return options;
}

function methodsOf(table: RealmTable, id: string, reading: Reading, resolved: Resolved) {
  const path = ['keycloak', 'realm', id, 'overrides', 'mfa_methods'] as const;
  const given = table.overrides.mfa_methods;
  if (given?.includes('sms')) reading.refuse(path, SMS_REASON, { allowed: 'totp, webauthn' });
  const methods = (given ?? standardMethods).filter((one) => one !== 'sms');
  const origin: Origin = given ? { from: 'override', line: reading.lineOf(path) } : { from: 'default' };
  resolved.push({ key: `keycloak.realm.${id}.mfa_methods`, value: methods, origin, control: 'IA-2(1)' });
  return [...new Set(methods)];
}

/** The flat shape of `[secrets]` names a client with _ for -: a name of nobody is a slip of the pen. */
function flatSecrets(secrets: Document['secrets'], clients: Record<string, unknown>, { refuse }: Reading): void {
  const fixed = new Set(['backend', 'identity_file', 'keycloak_admin_password', 'keycloak_db_password']);
  const names = Object.keys(clients).map((id) => `${id.replaceAll('-', '_')}_client_secret`);
  for (const key of Object.keys(secrets ?? {}))
    if (!fixed.has(key) && !names.includes(key))
      refuse(['secrets', key], 'belongs to no client of this document', {
        allowed: ['keycloak_admin_password', 'keycloak_db_password', ...names].join(', '),
      });
}
