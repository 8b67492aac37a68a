import { randomUUID } from 'node:crypto';
import { openWorld, type Reply } from './crypto-store.ts';

export const newKey = () => `key-${randomUUID()}`;
export const etagOf = ({ headers }: Reply) => headers['etag'] ?? '';

/** Two replicas, two workloads, and what tests of records ask of them again and again; what one writes the other reads. */
export async function openRecords() {
  const world = await openWorld();
  const [one, two] = await Promise.all([world.replica(), world.replica()]);
  const [job, portal] = await Promise.all([world.caller('job'), world.caller('portal')]);
  const sql = (text: string, values: unknown[] = []) =>
    world.postgres.asAdmin((client) => client.query(text, values), world.database.name);
  return {
    world,
    one,
    two,
    job,
    portal,
    sql,
    get: (key: string, headers: Record<string, string> = {}) => job.record(two.url, key, { headers }),
    version: (key: string, number: number) => job.record(one.url, key, { path: `?version=${number}` }),
    act: (key: string, what: string, body: object, headers: Record<string, string> = {}) =>
      job.record(one.url, key, { method: 'POST', path: `/${what}`, body, headers }),
    remove: (key: string, path = '', headers: Record<string, string> = {}) =>
      job.record(one.url, key, { method: 'DELETE', path, headers }),
    versionsOf: async (key: string) => {
      const { body } = await job.record(one.url, key, { path: '/versions' });
      return (body['versions'] as { version: number; state: string }[]).map((each) => [each.version, each.state]);
    },
    lastEvent: async () => {
      const { rows } = await sql('select canonical from audit_outbox order by id desc limit 1');
      return JSON.parse((rows[0].canonical as Buffer).toString()) as Record<string, unknown>;
    },
  };
}

export type Records = Awaited<ReturnType<typeof openRecords>>;
