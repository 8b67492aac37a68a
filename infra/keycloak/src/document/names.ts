import { z } from 'zod';

/** Shapes that several tables of the document share. `allowed` and `control` go into error messages and the JSON Schema. */
const shaped = (pattern: RegExp, allowed: string) => z.string().regex(pattern).meta({ allowed });

/** Names of realms and apps: they stand in URLs, file names, unit names and Nix attributes. */
export const name = shaped(/^[a-z][a-z0-9-]{0,61}[a-z0-9]$/, 'lower-case letters, digits and hyphens, 2 to 63 of them');
export const roleName = shaped(/^[A-Za-z][A-Za-z0-9_.-]{0,62}$/, 'letters, digits, _, . and -, at most 63');
export const scopeName = shaped(
  /^[\x21\x23-\x2e\x30-\x5b\x5d-\x7e]{1,128}$/,
  'printable ASCII without space, quote, slash and backslash, at most 128',
);
/** `role` of the realm, or `client/role`. */
export const roleReference = shaped(
  /^([a-z][a-z0-9-]{0,62}\/)?[A-Za-z][A-Za-z0-9_.-]{0,62}$/,
  'a role of the realm, or client/role',
);
export const clientId = shaped(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/, 'letters, digits, ., _ and -, at most 128');
export const text = shaped(/^[^\u0000-\u001f\u007f]{1,255}$/u, 'one line of text, at most 255 characters');
export const hostname = shaped(
  /^(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
  'a host name in lower case, without scheme, port or path',
);
export const address = shaped(/^[0-9A-Fa-f.:]{2,45}$/, 'an IP address');
export const port = z.int().min(1).max(65_535);
export const path = shaped(/^\/[A-Za-z0-9._/@+-]{1,1023}$/, 'an absolute path of letters, digits and ._/@+-');
export const localPath = shaped(
  /^(?!.*(^|\/)\.\.(\/|$))[A-Za-z0-9._@+-][A-Za-z0-9._/@+-]{0,1022}$/,
  'a path inside the folder of the document, without ..',
);
export const databaseName = shaped(/^[a-z_][a-z0-9_]{0,62}$/, 'lower-case letters, digits and _, at most 63');

/** Addresses go into scripts, Nix and Helm files: characters that quote or expand have no place in one. */
const plain = /^[\x21\x23\x25-\x26\x28-\x3b\x3d\x3f-\x5b\x5d\x5f\x61-\x7a\x7e]{1,2048}$/;
const isUrl = (value: string, protocols: readonly string[]): boolean => {
  if (!plain.test(value) || !URL.canParse(value)) return false;
  const { protocol, username, password } = new URL(value);
  return protocols.includes(protocol) && !username && !password && !value.includes('#');
};
export const httpsUrl = z
  .string()
  .refine((value) => isUrl(value, ['https:']))
  .meta({ allowed: 'an https address without user, fragment or quoting characters' });
export const webUrl = z
  .string()
  .refine((value) => isUrl(value, ['https:', 'http:']))
  .meta({ allowed: 'an http or https address without user, fragment or quoting characters' });

/** RFC 9700, 2.1: exact addresses, no wildcard; plain http only towards the loopback of a native app. */
export const redirectUri = z
  .string()
  .refine((value) => {
    if (!isUrl(value, ['https:', 'http:']) || value.includes('*')) return false;
    const { protocol, hostname: host } = new URL(value);
    return protocol === 'https:' || host === '127.0.0.1' || host === '[::1]';
  })
  .meta({
    allowed: 'an exact https address without * or fragment; http only to 127.0.0.1 or [::1]',
    control: 'AC-3',
  });
export const origin = z
  .string()
  .refine((value) => isUrl(value, ['https:']) && new URL(value).origin === value)
  .meta({ allowed: 'an https origin without a path, e.g. https://app.example.com', control: 'AC-3' });

/** Where a secret is: never the secret itself. */
export const secretReference = z
  .string()
  .regex(
    /^(age:(?!(.*\/)?\.\.(\/|$))[A-Za-z0-9._@+-][A-Za-z0-9._/@+-]{0,255}|sops:(?!(.*\/)?\.\.(\/|#))[A-Za-z0-9._@+-][A-Za-z0-9._/@+-]{0,255}#[A-Za-z0-9_.-]{1,128}|file:\/[A-Za-z0-9._/@+-]{1,1023}|env:[A-Z][A-Z0-9_]{0,127}|vault:[A-Za-z0-9._/-]{1,255}#[A-Za-z0-9_.-]{1,128})$/,
  )
  .meta({
    allowed: 'age:FILE, sops:FILE#KEY, file:/PATH, env:NAME or vault:PATH#FIELD; never the secret itself',
    control: 'IA-5',
  });
export const date = shaped(/^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$/, 'a date, e.g. 2027-03-31');
