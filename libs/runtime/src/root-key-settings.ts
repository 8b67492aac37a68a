import { z } from 'zod';
import { ConfigurationError, path, setting, type Parsed, type Settings } from './setting.ts';

/** What wraps the branch keys: a key of KMS, or a file here (R6). */
export const rootKeySettings = {
  POSTERN_ROOT_KEY: setting(z.enum(['local', 'aws-kms']), 'What wraps branch keys. `local` is for development (R6).', {
    default: 'aws-kms',
  }),
  POSTERN_ROOT_KEY_PATH: setting(path.optional(), 'The key file of the `local` root key.', {
    example: '.postern/root.key',
  }),
  POSTERN_ROOT_KEY_ARN: setting(
    z
      .string()
      .regex(/^arn:aws/)
      .max(2048)
      .optional(),
    'ARN of the KMS key that is the `aws-kms` root key.',
    { example: 'arn:aws:kms:eu-west-1:123456789012:key/0d990263-018e-4e65-a703-eff731de951e' },
  ),
  POSTERN_AWS_ROLE_ARN: setting(
    z
      .string()
      .regex(/^arn:aws/)
      .max(2048)
      .optional(),
    'Role that this workload takes on with its web identity token.',
    { example: 'arn:aws:iam::123456789012:role/postern-crypto-store' },
  ),
  POSTERN_AWS_TOKEN_PATH: setting(
    path.optional(),
    'File with that token, as the cluster projects it; read at each use.',
    {
      example: '/var/run/secrets/aws/token',
    },
  ),
  POSTERN_AWS_TOKEN_URL: setting(
    z.url({ protocol: /^https$/ }).optional(),
    "In place of that file: the realm's token endpoint, where the service gets its token over its certificate.",
    { example: 'https://id.example.com/realms/postern/protocol/openid-connect/token' },
  ),
  POSTERN_PREVIOUS_ROOT_KEY_PATH: setting(
    path.optional(),
    'A `local` key file that branch keys are moved away from; those of another KMS key need no setting.',
    { example: '/var/lib/postern/root.key' },
  ),
  POSTERN_AWS_ENDPOINT: setting(z.url({ protocol: /^https?$/ }).optional(), 'Where an AWS emulator answers.', {
    developmentOnly: true,
  }),
  POSTERN_ROOT_KEY_WAIVER: setting(
    z.iso.date().optional(),
    'Accepts the `local` root key in production through this day (UTC). Never in `fedramp-high`.',
    { example: '2027-01-31' },
  ),
} satisfies Settings;

export type RootKeyConfig = {
  /** A local key file that is only unwrapped with. */
  readonly previousPath?: string | undefined;
} & (
  | { readonly kind: 'local'; readonly path: string }
  | {
      readonly kind: 'aws-kms';
      readonly keyArn: string;
      readonly roleArn: string;
      /** Where the web identity token comes from: a file, or the realm's token endpoint. */
      readonly tokenSource: { readonly path: string } | { readonly url: string };
      readonly endpoint: string | undefined;
    }
);

/**
 * The root key that the settings name, with what that kind needs.
 * @throws ConfigurationError naming what is missing for it.
 */
export function rootKeyConfig(read: Parsed<typeof rootKeySettings>): RootKeyConfig {
  const needed = (name: 'POSTERN_ROOT_KEY_PATH' | 'POSTERN_ROOT_KEY_ARN' | 'POSTERN_AWS_ROLE_ARN') => {
    const value = read[name];
    if (value === undefined) missing.push(`${name}: is required with POSTERN_ROOT_KEY ${read.POSTERN_ROOT_KEY}`);
    return value ?? '';
  };
  const tokenSource = () => {
    const { POSTERN_AWS_TOKEN_PATH: file, POSTERN_AWS_TOKEN_URL: url } = read;
    if ((file === undefined) === (url === undefined)) {
      missing.push('POSTERN_AWS_TOKEN_PATH: exactly one of it and POSTERN_AWS_TOKEN_URL is required with aws-kms');
    }
    return url === undefined ? { path: file ?? '' } : { url };
  };
  const missing: string[] = [];
  const previousPath = read.POSTERN_PREVIOUS_ROOT_KEY_PATH;
  const config: RootKeyConfig =
    read.POSTERN_ROOT_KEY === 'local'
      ? { kind: 'local', path: needed('POSTERN_ROOT_KEY_PATH'), previousPath }
      : {
          kind: 'aws-kms',
          keyArn: needed('POSTERN_ROOT_KEY_ARN'),
          roleArn: needed('POSTERN_AWS_ROLE_ARN'),
          tokenSource: tokenSource(),
          endpoint: read.POSTERN_AWS_ENDPOINT,
          previousPath,
        };
  if (missing.length > 0) throw new ConfigurationError(missing);
  return config;
}
