import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { ConfigurationError } from './setting.ts';

const spiffeId = z
  .string()
  .max(2048)
  .regex(/^spiffe:\/\/[a-z0-9._-]+\/[A-Za-z0-9._/-]+$/);

const workload = z.strictObject({ name: z.string().regex(/^[a-z][a-z0-9-]{0,62}$/), spiffeId });

export type Workload = z.output<typeof workload>;
export type Trust<Issuer> = {
  readonly trustDomain: string;
  readonly workloads: readonly Workload[];
  readonly issuers: readonly Issuer[];
};

/**
 * Reads the operator's table (R1, R4): trust domain, which SPIFFE id is which workload, which issuers are believed for what.
 * `issuerEntry` is the verifier's own schema (`@postern/oidc`).
 * @throws ConfigurationError when the file is absent, malformed, names a workload twice or a workload outside the trust domain.
 */
export function loadTrust<I extends z.ZodType>(path: string, issuerEntry: I): Trust<z.output<I>> {
  const schema = z.strictObject({
    trustDomain: z.string().regex(/^[a-z0-9._-]{1,255}$/),
    workloads: z.array(workload).max(10_000),
    issuers: z.array(issuerEntry).max(1_000),
  });
  const result = schema.safeParse(readJson(path));
  if (!result.success) {
    const where = [...new Set(result.error.issues.map((issue) => issue.path.join('.') || 'the document'))];
    throw new ConfigurationError(where.map((place) => `POSTERN_TRUST_PATH: ${place} is not valid`));
  }
  const { trustDomain, workloads } = result.data;
  const outside = workloads.filter(({ spiffeId }) => !spiffeId.startsWith(`spiffe://${trustDomain}/`));
  const repeated = workloads.filter(
    (one, at) => workloads.findIndex((other) => other.name === one.name || other.spiffeId === one.spiffeId) !== at,
  );
  const mistakes = [
    ...outside.map(({ name }) => `POSTERN_TRUST_PATH: workload ${name} is outside the trust domain`),
    ...repeated.map(({ name }) => `POSTERN_TRUST_PATH: workload ${name} or its SPIFFE id stands twice`),
  ];
  if (mistakes.length > 0) throw new ConfigurationError(mistakes);
  return result.data as Trust<z.output<I>>;
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    throw new ConfigurationError(['POSTERN_TRUST_PATH: the file cannot be read as JSON']);
  }
}
