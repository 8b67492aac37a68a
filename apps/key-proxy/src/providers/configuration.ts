import { z } from 'zod';
import { problem, Secret } from '@postern/runtime';
import { type ProviderKind } from './provider-kind.ts';

export type ConfiguredKind = Exclude<ProviderKind, 'crypto-store'>;

/** A tenant's configuration of a provider: what may be shown, and what is sealed and never returned. */
export type Configuration = { kind: ConfiguredKind; settings: Record<string, string>; secrets: Record<string, Secret> };

const text = (longest: number) =>
  z
    .string()
    .trim()
    .min(1)
    .max(longest)
    .regex(/^[\x20-\x7e]*$/);
const region = z.string().regex(/^(?:us|eu|ap|sa|ca|me|af|il|mx|cn|us-gov)-[a-z]{4,12}-\d$/);
const uuid = z.uuid();

/** `https` and a host, as it is checked again where it is connected to (R35). */
const address = z
  .url({ protocol: /^https$/ })
  .max(512)
  .transform((url, context) => {
    const { origin, pathname, search, username } = new URL(url);
    if (pathname !== '/' || search !== '' || username !== '')
      context.addIssue({ code: 'custom', message: 'an origin' });
    return origin;
  });

/**
 * Only these fields of a service account's document are taken; where its tokens come from is never its own affair, and a
 * document of another kind (`external_account`, which names addresses and files) is refused (R36).
 */
const serviceAccount = z.object({
  type: z.literal('service_account'),
  client_email: z
    .email()
    .max(320)
    .regex(/\.gserviceaccount\.com$/),
  private_key_id: text(128),
  private_key: z
    .string()
    .max(8_192)
    .regex(/^-----BEGIN PRIVATE KEY-----[\s\S]*-----END PRIVATE KEY-----\s*$/),
});
const document = z
  .union([z.string().max(16_384), z.record(z.string(), z.unknown())])
  .transform((given, context): unknown => {
    if (typeof given !== 'string') return given;
    try {
      return JSON.parse(given);
    } catch {
      context.addIssue({ code: 'custom', message: 'JSON' });
      return z.NEVER;
    }
  })
  .pipe(serviceAccount);

const schemas = {
  aws: z.union([
    z.strictObject({
      region,
      access_key_id: z.string().regex(/^[A-Z0-9]{16,128}$/),
      secret_access_key: text(256),
    }),
    z.strictObject({ region, role_arn: z.string().regex(/^arn:aws[a-z-]*:iam::\d{12}:role\/[\w+=,.@/-]{1,128}$/) }),
  ]),
  gcp: z.strictObject({
    project_id: z.string().regex(/^[a-z][a-z0-9-]{4,28}[a-z0-9]$/),
    service_account_json: document,
  }),
  azure: z.strictObject({
    vault_url: address,
    tenant_id: uuid,
    client_id: uuid,
    client_secret: text(512).optional(),
  }),
  openbao: z.union([
    z.strictObject({
      address,
      mount: z
        .string()
        .regex(/^[a-zA-Z0-9_-]{1,64}$/)
        .default('secret'),
      namespace: z
        .string()
        .regex(/^[a-zA-Z0-9_/-]{1,128}$/)
        .optional(),
      token: text(512),
    }),
    z.strictObject({
      address,
      mount: z
        .string()
        .regex(/^[a-zA-Z0-9_-]{1,64}$/)
        .default('secret'),
      namespace: z
        .string()
        .regex(/^[a-zA-Z0-9_/-]{1,128}$/)
        .optional(),
      role_id: text(128),
      secret_id: text(256),
    }),
  ]),
};

const PLAIN_NAME = /^[a-z_]{1,40}$/;

/** Which fields are sealed; all others are shown to the tenant's administrators. */
const SEALED = ['secret_access_key', 'private_key', 'client_secret', 'token', 'secret_id'];

/**
 * Reads what a tenant gave for a provider.
 * @throws Problem `invalid_input` naming fields, never values
 */
export function configurationOf(kind: ConfiguredKind, given: unknown, field: string): Configuration {
  const read = schemas[kind].safeParse(given);
  if (!read.success) {
    const fields = read.error.issues.slice(0, 8).flatMap((issue) => {
      const at = [field, ...issue.path.map(String)].join('.');
      if (issue.code !== 'unrecognized_keys') return [{ field: at, rule: issue.code }];
      // Longer or stranger names are the caller's own invention, and may be a secret in the wrong place.
      const named = issue.keys.slice(0, 8).map((name) => (PLAIN_NAME.test(name) ? name : '*'));
      return named.map((name) => ({ field: `${at}.${name}`, rule: 'unknown_field' }));
    });
    throw problem('invalid_input', { fields });
  }
  const flat = Object.entries(read.data).flatMap(([name, value]): [string, string][] =>
    typeof value === 'string'
      ? [[name, value]]
      : Object.entries((value ?? {}) as Record<string, string>).filter(([inner]) => inner !== 'type'),
  );
  return {
    kind,
    settings: Object.fromEntries(flat.filter(([name]) => !SEALED.includes(name))),
    secrets: Object.fromEntries(
      flat.flatMap(([name, value]) => (SEALED.includes(name) ? [[name, new Secret(value)]] : [])),
    ),
  };
}
