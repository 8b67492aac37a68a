import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { request } from 'undici';
import { type Caller } from './caller.ts';

type Manifest = { kind: string; spec: Record<string, unknown> };
type Webhook = { url: string; method: string; headers: Record<string, string>; result: { jsonPath: string } };

/** What the operator's templates put in: `{{ .object.field }}`; in a URL escaped as for a query. */
const filled = (template: string, objects: Record<string, Record<string, string>>, escape = (text: string) => text) =>
  template.replaceAll(/\{\{ \.(\w+)\.(\w+) \}\}/g, (_all, object: string, field: string) =>
    escape(objects[object]?.[field] ?? ''),
  );
const asQuery = (text: string) => encodeURIComponent(text).replaceAll('%20', '+');
const at = (path: string, body: unknown) =>
  path
    .split('.')
    .slice(1)
    .reduce<unknown>((value, field) => (value as Record<string, unknown> | undefined)?.[field], body);

/**
 * External Secrets Operator as the example's manifest describes it: the key that it asks for, and its call for one.
 * The proxy that the example wants passes the path on, to the api listener and over the workload's certificate.
 */
export async function operatorOf(api: string, { dispatcher }: Pick<Caller, 'dispatcher'>) {
  const file = join(import.meta.dirname, '../examples/external-secrets/secret-store.yaml');
  const documents = parseAllDocuments(await readFile(file, 'utf8')).map((one) => one.toJSON() as Manifest);
  const specOf = (kind: string) => documents.find((one) => one.kind === kind)?.spec;
  const { provider } = specOf('SecretStore') as { provider: { webhook: Webhook } };
  const { data } = specOf('ExternalSecret') as { data: { remoteRef: { key: string } }[] };
  const { url, method, headers, result } = provider.webhook;
  return {
    key: data[0]?.remoteRef.key ?? '',
    async read(key: string, token: string): Promise<{ status: number; body: unknown; value: unknown }> {
      const objects = { remoteRef: { key }, postern: { access_token: token } };
      const described = new URL(filled(url, objects, asQuery));
      const answer = await request(new URL(described.pathname + described.search, api), {
        dispatcher,
        method: method as 'GET',
        headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, filled(value, objects)])),
      });
      const body = await answer.body.json();
      return { status: answer.statusCode, body, value: at(result.jsonPath, body) };
    },
  };
}
