import { documentFields, documentWith } from './document-fields.ts';

/** A document that may not be used, with what its message must name. */
export type BrokenDocument = readonly [what: string, text: string, names: string | RegExp];

const base = (over: Partial<Record<'app' | 'keycloak' | 'realm' | 'client' | 'more', string>> = {}) => `[app]
${over.app ?? 'name = "myapp"\nprofile = "fedramp-moderate"'}

[keycloak]
${over.keycloak ?? 'hostname = "auth.myapp.com"'}

[keycloak.realm.myapp]
${over.realm ?? ''}

[keycloak.client.web]
${over.client ?? 'redirect_uris = ["https://myapp.com/callback"]'}

${over.more ?? ''}
`;

/** Not TOML at all, by hand. */
const notToml: BrokenDocument[] = [
  ['an open string', '[app]\nname = "myapp\n', 'is not TOML'],
  ['a key without a value', '[app]\nname =\n', 'is not TOML'],
  ['an open table', '[app\nname = "x"\n', 'is not TOML'],
  ['a key twice', '[app]\nname = "myapp"\nname = "other"\n', 'is not TOML'],
  ['a table twice', `${base()}\n[app]\n`, 'is not TOML'],
  ['JSON', '{"app":{"name":"myapp"}}', 'is not TOML'],
  ['YAML', 'app:\n  name: myapp\n', 'is not TOML'],
  ['a bare word', 'hello', 'is not TOML'],
  ['a control character', '[app]\nname = "my\u0007app"\n', 'is not TOML'],
  ['a bad escape', '[app]\nname = "my\\qapp"\n', 'is not TOML'],
  ['a date that is none', `${base()}[[waiver]]\nexpires = 2027-13-45\n`, 'is not TOML'],
  ['nesting without end', `[app]\nname = ${'['.repeat(20_000)}`, /is not TOML|nested too deeply/],
  ['more than a mebibyte', `# ${'x'.repeat(1_100_000)}`, 'longer than 1 MiB'],
  ['nothing', '', 'app'],
  ['only a comment', '# nothing\n', 'app'],
  ['binary', '\u0000\u0001\u0002', 'is not TOML'],
  ['a number beyond reason', base({ keycloak: 'hostname = "a.example"\nport = 99999999999999999999' }), 'too large'],
  ['a number that is none', base({ keycloak: 'hostname = "a.example"\nport = nan' }), 'keycloak.port'],
];

const names: BrokenDocument[] = ['__proto__', 'constructor', 'prototype'].flatMap((key): BrokenDocument[] => [
  [`a realm ${key}`, `${base()}[keycloak.realm.${key}]\n`, 'is not a name'],
  [`a client ${key}`, `${base()}[keycloak.client.${key}]\n`, 'is not a name'],
  [`a key ${key}`, `${base()}[secrets]\n${key} = "age:x.age"\n`, 'is not a name'],
  [`an inline ${key}`, `${base()}[keycloak.security]\n"${key}" = { provider = "x" }\n`, 'is not a name'],
]);

/** One key with one value that it does not take: table, line, name in the message. */
const values: [where: 'keycloak' | 'realm' | 'client', key: string, bad: string[], path: string][] = [
  ['keycloak', 'port', ['0', '65536', '-1', '8443.5', '"8443"', 'true', '[]'], 'keycloak.port'],
  ['keycloak', 'deployment_mode', ['"embed"', '1', '""', '["cluster"]'], 'keycloak.deployment_mode'],
  ['keycloak', 'tenancy', ['"one"', '2'], 'keycloak.tenancy'],
  ['keycloak', 'fips_mode', ['"true"', '1', '"yes"'], 'keycloak.fips_mode'],
  ['keycloak', 'listen_address', ['"any"', '"0.0.0.0; rm"', '1'], 'keycloak.listen_address'],
  ['realm', 'display_name', ['""', '"a\\nb"', '1', `"${'x'.repeat(256)}"`], 'keycloak.realm.myapp.display_name'],
  ['realm', 'name', ['"My App"', '"../x"', '"x"', '"master"', '"-x"'], 'keycloak.realm.myapp'],
  ['realm', 'roles', ['["a b"]', '"teller"', '[1]', '["a\\nb"]'], 'keycloak.realm.myapp.roles'],
  ['realm', 'policy', ['"/etc/passwd"', '"../policy.json"', '"missing.json"'], 'keycloak.realm.myapp.policy'],
  [
    'realm',
    'logout_url',
    ['"http://a.example/x"', '"javascript:1"', '"https://u:p@a.example/"'],
    'keycloak.realm.myapp.logout_url',
  ],
  ['realm', 'administrators', ['["nobody/knows"]', '["a b"]'], 'keycloak.realm.myapp'],
  ['realm', 'theme', ['"../../theme"', '""'], 'keycloak.realm.myapp.theme'],
  ['realm', 'trusted_issuer_dn', ['"Postern"', '"CN=a\\nb"'], 'keycloak.realm.myapp.trusted_issuer_dn'],
  ['client', 'type', ['"Public"', '"none"', '1'], 'keycloak.client.web.type'],
  ['client', 'kind', ['"spa"', '3'], 'keycloak.client.web.kind'],
  ['client', 'kind = "web-app"\nredirect_uris', ['[]'], 'keycloak.client.web.redirect_uris'],
  [
    'client',
    'redirect_uris',
    [
      '["https://a.example/*"]',
      '["http://a.example/"]',
      '["javascript:alert(1)"]',
      '["https://a.example/#x"]',
      '["https://u:p@a.example/"]',
      '["not a url"]',
      '["https://a.example/\\"x"]',
      '["https://a.example/$(id)"]',
      '"https://a.example/"',
    ],
    'keycloak.client.web.redirect_uris',
  ],
  [
    'client',
    'redirect_uris = ["https://a.example/"]\nweb_origins',
    ['["*"]', '["https://a.example/path"]', '["http://a.example"]', '["+"]'],
    'keycloak.client.web.web_origins',
  ],
  [
    'client',
    'redirect_uris = ["https://a.example/"]\nclient_id',
    ['"a b"', '""', '"a/b"', '"a\\nb"', `"${'x'.repeat(129)}"`],
    'keycloak.client.web.client_id',
  ],
  ['client', 'redirect_uris = ["https://a.example/"]\nrealm', ['"other"', '1', '""'], 'keycloak.client.web.realm'],
  [
    'client',
    'redirect_uris = ["https://a.example/"]\nsubject_dn',
    ['"portal"', '"CN=a,CN"', '"CN=*\\n"'],
    'keycloak.client.web.subject_dn',
  ],
  [
    'client',
    'redirect_uris = ["https://a.example/"]\ndefault_scopes',
    ['["nobody:knows"]', '["a b"]', '["a\\"b"]'],
    'keycloak',
  ],
  [
    'client',
    'redirect_uris = ["https://a.example/"]\nrole_scope',
    ['["nobody"]', '["web/nobody"]', '["a/b/c"]'],
    'keycloak',
  ],
  ['client', 'redirect_uris = ["https://a.example/"]\naudiences', ['["nobody"]', '[""]'], 'keycloak'],
  [
    'client',
    'redirect_uris = ["https://a.example/"]\njwks_file',
    ['"missing.json"', '"../x.json"', '"/etc/passwd"'],
    'keycloak.client.web.jwks_file',
  ],
  [
    'client',
    'redirect_uris = ["https://a.example/"]\nenable_fapi',
    ['false', '"false"', '0'],
    'keycloak.client.web.enable_fapi',
  ],
  [
    'client',
    'redirect_uris = ["https://a.example/"]\nrequire_pkce',
    ['false', '"no"'],
    'keycloak.client.web.require_pkce',
  ],
  ['client', 'redirect_uris = ["https://a.example/"]\nrequire_par', ['false'], 'keycloak.client.web.require_par'],
  ['client', 'redirect_uris = ["https://a.example/"]\noffline_access = true\ncertificate_bound_tokens', ['true'], 'R9'],
  [
    'client',
    'redirect_uris = ["https://a.example/"]\nauthentication',
    ['"secret"', '"none"', '"private-key-jwt"'],
    'keycloak.client.web',
  ],
  [
    'client',
    'redirect_uris = ["https://a.example/"]\nbackchannel_logout_url',
    ['"http://a.example/"', '"file:///x"'],
    'keycloak.client.web.backchannel_logout_url',
  ],
];

const overrides: [key: string, bad: string[]][] = [
  ['session_idle_timeout', ['16', '0', '-5', '"5"', '1.5', '43201']],
  ['session_max_lifespan', ['241', '0', '"4h"']],
  ['access_token_lifespan', ['11', '0']],
  ['password_min_length', ['11', '0', '129', '"long"']],
  ['password_require_uppercase', ['false', '1']],
  ['password_require_digit', ['false']],
  ['password_require_special_char', ['false', '"false"']],
  ['password_history_count', ['23', '-1', '101']],
  ['brute_force_enabled', ['false', '0']],
  ['brute_force_max_attempts', ['4', '0', '"3"']],
  ['brute_force_lockout_duration', ['29', '0', '-30']],
  ['require_mfa', ['"true"', '1']],
  ['mfa_methods', ['["sms"]', '[]', '["totp", "sms"]', '"totp"', '["email"]']],
  ['no_such_override', ['1']],
];

const secrets = [
  '"hunter2"',
  '"age:../outside.age"',
  '"age:a/../../outside.age"',
  '"sops:../outside.yaml#key"',
  '"age:/etc/passwd"',
  '"sops:file.yaml"',
  '"env:lower"',
  '"file:relative"',
  '"vault:"',
  '"age:"',
  '1',
  '["age:x"]',
];

const tables: BrokenDocument[] = [
  ['an unknown table', `${base()}[unknown]\n`, 'unknown'],
  ['an unknown table of keycloak', `${base()}[keycloak.unknown]\n`, 'keycloak.unknown'],
  [
    'a profile of no baseline',
    base({ app: 'name = "myapp"\nprofile = "fedramp-extreme"' }),
    'fedramp-low, fedramp-moderate, fedramp-high',
  ],
  ['no name', base({ app: 'profile = "fedramp-high"' }), 'app.name'],
  ['no hostname', base({ keycloak: '' }), 'keycloak.hostname'],
  ['a hostname with a scheme', base({ keycloak: 'hostname = "https://auth.myapp.com"' }), 'keycloak.hostname'],
  ['a hostname with a port', base({ keycloak: 'hostname = "auth.myapp.com:8443"' }), 'keycloak.hostname'],
  ['no realm', '[app]\nname = "myapp"\n[keycloak]\nhostname = "a.example"\n', 'there is no realm'],
  ['nothing to log in to', '[app]\nname = "myapp"\n', 'neither [keycloak] nor [auth]'],
  [
    'a database over plain text elsewhere',
    `${base()}[keycloak.database]\nhost = "db.example"\nrequire_ssl = false\n`,
    'SC-8',
  ],
  ['a cluster where there is none', `${base()}[keycloak.clustering]\nenable = true\n`, 'keycloak.clustering.enable'],
  [
    'tcp discovery of nobody',
    `${base({ keycloak: 'hostname = "a.example"\ndeployment_mode = "cluster"' })}[keycloak.clustering]\ndiscovery = "tcp"\n`,
    'keycloak.clustering.nodes',
  ],
  [
    'a node twice',
    `${base({ keycloak: 'hostname = "a.example"\ndeployment_mode = "cluster"' })}[keycloak.clustering]\nnodes = ["a.example", "a.example"]\n`,
    'names a node twice',
  ],
  [
    'more owners than nodes',
    `${base({ keycloak: 'hostname = "a.example"\ndeployment_mode = "cluster"' })}[keycloak.clustering]\nnodes = ["a.example", "b.example"]\nowners = 3\n`,
    'keycloak.clustering.owners',
  ],
  [
    'two realms in one',
    `${base({ keycloak: 'hostname = "a.example"\ntenancy = "shared-realm"' })}[keycloak.realm.other]\n[keycloak.client.web2]\nrealm = "other"\n`,
    'keycloak.tenancy',
  ],
  ['a client of either realm', `${base()}[keycloak.realm.other]\n`, 'keycloak.client.web.realm'],
  ['one name for two realms', `${base()}[keycloak.realm.other]\nname = "myapp"\n`, 'another realm has this name'],
  [
    'one id for two clients',
    `${base()}[keycloak.client.again]\nclient_id = "web"\nredirect_uris = ["https://a.example/"]\n`,
    'another client of this realm',
  ],
  [
    'an event of nobody',
    `${base()}[keycloak.observability]\naudit_events = ["LOGON"]\n`,
    'keycloak.observability.audit_events',
  ],
  ['no event', `${base()}[keycloak.observability]\naudit_events = []\n`, 'keycloak.observability.audit_events'],
  [
    'an endpoint that is a file',
    `${base()}[keycloak.observability]\nloki_endpoint = "file:///etc/passwd"\n`,
    'loki_endpoint',
  ],
  ['a heap of words', `${base()}[keycloak.resources]\nheap_size = "2g; rm -rf /"\n`, 'heap_size'],
  ['a path that quotes', `${base()}[keycloak.tls]\ncertificate_file = "/a'b"\n`, 'certificate_file'],
  ['a path with a newline', `${base()}[keycloak.tls]\nkey_file = "/a\\nb"\n`, 'key_file'],
  ['a user name that injects', `${base()}[keycloak.database]\nusername = "x; drop table"\n`, 'username'],
  ['an administrator that injects', `${base()}[keycloak.admin]\nusername = "admin\\n"\n`, 'keycloak.admin.username'],
  ["a secret of nobody's", `${base()}[secrets]\nother_client_secret = "age:x.age"\n`, 'belongs to no client'],
  [
    'one secret in both shapes',
    `${base()}[secrets]\nkeycloak_db_password = "age:x.age"\n[keycloak.secrets]\ndb_password = "age:y.age"\n`,
    'stands also in',
  ],
  ['a backend of nobody', `${base()}[secrets]\nbackend = "plain"\n`, 'age, sops'],
  [
    'LDAP in plain text',
    `${base()}[keycloak.realm.myapp.federation.ldap.people]\nurl = "ldap://a.example"\nusers_dn = "ou=p"\nbind_dn = "cn=b"\nbind_credential = "age:x.age"\n`,
    'ldaps://',
  ],
  [
    'an OIDC provider by http',
    `${base()}[keycloak.realm.myapp.federation.oidc.other]\nissuer = "http://a.example"\nclient_id = "x"\nclient_secret = "age:x.age"\n`,
    'issuer',
  ],
  ['a public client that logs itself in', base({ client: 'type = "public"\nkind = "worker"' }), 'cannot log itself in'],
  [
    'a public client with a certificate',
    base({ client: 'type = "public"\nredirect_uris = ["https://a.example/"]\nrequire_mtls = true' }),
    'has no certificate',
  ],
  [
    'a tool with redirects',
    base({ client: 'type = "public"\nkind = "cli-tool"\nredirect_uris = ["https://a.example/"]' }),
    'no logins in a browser',
  ],
  [
    'a waiver without an expiry',
    `${base()}[[waiver]]\nkey = "keycloak.x"\nreason = "r"\napproved_by = "a"\n`,
    'waiver.0.expires',
  ],
  [
    'a waiver of nothing',
    `${base()}[[waiver]]\nkey = "keycloak.port"\nreason = "r"\napproved_by = "a"\nexpires = ${soon()}\n`,
    'waives nothing',
  ],
  [
    'a waiver of long ago',
    `${base()}[keycloak.realm.myapp.overrides]\nsession_idle_timeout = 60\n[[waiver]]\nkey = "keycloak.realm.myapp.overrides.session_idle_timeout"\nreason = "r"\napproved_by = "a"\nexpires = 2020-01-01\n`,
    'has expired',
  ],
  [
    'mTLS off in high',
    `${base({ app: 'name = "myapp"\nprofile = "fedramp-high"' })}[keycloak.tls]\nenable_mtls = false\n`,
    'keycloak.tls.enable_mtls',
  ],
  [
    'FIPS off in high',
    base({ app: 'name = "myapp"\nprofile = "fedramp-high"', keycloak: 'hostname = "a.example"\nfips_mode = false' }),
    'SC-13',
  ],
  ['an [auth] by http', `${base()}[auth]\nissuer_url = "http://a.example"\nclient_id = "x"\n`, 'auth.issuer_url'],
];

function soon(): string {
  return new Date(Date.now() + 86_400_000).toISOString().slice(0, 10);
}

/** Each key that there is, with a value of another type. */
const types: BrokenDocument[] = documentFields().map(({ path, schema }): BrokenDocument => {
  const other = ['integer', 'boolean', 'array'].includes(schema.type ?? '') ? 'hunter2' : 7;
  return [`${path.join('.')} of another type`, documentWith(path, other), path.join('.')];
});

/** More than 400 documents, each with one mistake: written by hand, and generated from keys and values they do not take, and from the schema. */
export const brokenDocuments: BrokenDocument[] = [
  ...types,
  ...notToml,
  ...names,
  ...tables,
  ...values.flatMap(([where, key, bad, path]) =>
    bad.map((value): BrokenDocument => {
      const own = where === 'keycloak' ? `hostname = "auth.myapp.com"\n${key} = ${value}` : `${key} = ${value}`;
      return [`${key.split('\n').at(-1)} = ${value.slice(0, 40)}`, base({ [where]: own }), path];
    }),
  ),
  ...overrides.flatMap(([key, bad]) =>
    bad.map((value): BrokenDocument => [
      `${key} = ${value}`,
      `${base()}[keycloak.realm.myapp.overrides]\n${key} = ${value}\n`,
      `overrides.${key}`,
    ]),
  ),
  ...secrets.map((value): BrokenDocument => [
    `a secret ${value}`,
    `${base()}[keycloak.secrets]\nadmin_password = ${value}\n`,
    'keycloak.secrets.admin_password',
  ]),
];
