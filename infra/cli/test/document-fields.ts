import { documentJsonSchema } from '@postern/keycloak';

type Schema = {
  type?: string;
  enum?: unknown[];
  properties?: Record<string, Schema>;
  propertyNames?: { pattern?: string };
  additionalProperties?: Schema | boolean;
  items?: Schema;
};

/** A key that a document may hold: the way to it, and what stands there. */
export type Field = { path: readonly (string | number)[]; schema: Schema };

/** What the tables are called whose names the author of a document chooses. */
const chosen: Record<string, string> = {
  realm: 'myapp',
  client: 'web',
  scope: 'accounts',
  ldap: 'people',
  oidc: 'other',
  saml: 'partner',
  secrets: 'web_client_secret',
};

/** Every key of the published schema, so that one that is added is tried without a word here. */
export function documentFields(schema = documentJsonSchema() as Schema, path: Field['path'] = []): Field[] {
  const below = Object.entries(schema.properties ?? {}).flatMap(([key, one]) => documentFields(one, [...path, key]));
  const free = typeof schema.additionalProperties === 'object' ? schema.additionalProperties : undefined;
  const name = chosen[String(path.at(-1))];
  if (free && Object.keys(free).length > 0) {
    if (name === undefined) throw new Error(`how is a table of ${path.join('.')} called?`);
    below.push(...documentFields(free, [...path, name]));
  }
  if (schema.items?.properties) below.push(...documentFields(schema.items, [...path, 0]));
  return path.length === 0 ? below : [{ path, schema }, ...below];
}

type Table = { [key: string]: unknown };

/** A valid document with `value` at this place; tables on the way that need more are given what they need. */
export function documentWith(path: Field['path'], value: unknown): string {
  const document: Table = {
    app: { name: 'myapp', profile: 'fedramp-moderate' },
    keycloak: {
      hostname: 'auth.myapp.com',
      realm: { myapp: {} },
      client: { web: { redirect_uris: ['https://myapp.com/callback'] } },
    },
  };
  let table: Table | unknown[] = document;
  path.slice(0, -1).forEach((key, at) => {
    const held = (table as Table)[key] ?? needed(path.slice(0, at + 1));
    (table as Table)[key] = held;
    table = held as Table;
  });
  (table as Table)[path.at(-1) ?? ''] = value;
  return Object.entries(document)
    .map(([key, one]) => `${key} = ${toml(one)}\n`)
    .join('');
}

/** What a table that is not there yet must hold beside the key that is tried. */
function needed(path: Field['path']): unknown {
  switch (path.at(-2)) {
    case 'ldap':
      return { url: 'ldaps://a.example', users_dn: 'ou=p', bind_dn: 'cn=b', bind_credential: 'age:x.age' };
    case 'oidc':
      return { issuer: 'https://a.example', client_id: 'x', client_secret: 'age:x.age' };
    case 'saml':
      return { entity_id: 'https://a.example', sign_on_url: 'https://a.example', certificate: 'A'.repeat(64) };
    case 'scope':
      return { description: 'Accounts' };
    default:
      if (path.at(-1) === 'waiver')
        return [{ key: 'keycloak.port', reason: 'r', approved_by: 'a', expires: '2999-01-01' }];
      if (path.at(-1) === 'auth') return { issuer_url: 'https://a.example', client_id: 'x' };
      return {};
  }
}

function toml(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(toml).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value).replace(/\u007f/g, '\\u007f');
  return `{ ${Object.entries(value)
    .map(([key, one]) => `${JSON.stringify(key)} = ${toml(one)}`)
    .join(', ')} }`;
}
