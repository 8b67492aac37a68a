import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type StoreWorld } from './store-world.ts';

/** What somebody has who stole it, as latin1 text by place. */
export type Dump = ReadonlyMap<string, string>;

/** Every row of every table of a service's database, as a logical dump has them: bytes raw and in hex. */
export async function databaseDump({ postgres, database }: Pick<StoreWorld, 'postgres' | 'database'>): Promise<Dump> {
  return postgres.asAdmin(async (client) => {
    const tables = await client.query<{ name: string }>(
      `select format('%I.%I', schemaname, tablename) as name from pg_tables
        where schemaname not in ('pg_catalog', 'information_schema')`,
    );
    const dump = new Map<string, string>();
    for (const { name } of tables.rows) {
      const { rows } = await client.query<Record<string, unknown>>(`select * from ${name}`);
      const values = rows.flatMap((row) => Object.values(row));
      dump.set(`table ${name}`, values.map(textOf).join('\n'));
    }
    return dump;
  }, database.name);
}

/** The files of that database and the write-ahead log, as a stolen disk has them. */
export async function diskDump({ postgres, database }: StoreWorld): Promise<Dump> {
  const [folder, base] = await postgres.asAdmin(async (client) => {
    await client.query('checkpoint');
    const { rows } = await client.query<{ folder: string; oid: number }>(
      "select current_setting('data_directory') as folder, oid from pg_database where datname = current_database()",
    );
    return [rows[0]?.folder ?? '', `base/${rows[0]?.oid}`];
  }, database.name);
  const dump = new Map<string, string>();
  for (const part of [base, 'pg_wal']) {
    for (const file of await readdir(join(folder, part), { withFileTypes: true })) {
      if (!file.isFile()) continue;
      const bytes = await readFile(join(folder, part, file.name)).catch(() => Buffer.alloc(0));
      dump.set(`file ${part}/${file.name}`, bytes.toString('latin1'));
    }
  }
  return dump;
}

/** Every key and value of both Redis: the cache, and the jobs of the bus. */
export async function redisDump({ redis }: Pick<StoreWorld, 'redis'>): Promise<Dump> {
  const dump = new Map<string, string>();
  for (const [place, server] of Object.entries({ cache: redis.cache, bus: redis.bus })) {
    await server.asAdmin(async (client) => {
      for (const name of await client.keys('*')) {
        const dumped = await client.sendCommand(['DUMP', name]).catch(() => '');
        const kind = await client.type(name);
        const plain =
          kind === 'string'
            ? await client.getRange(name, 0, -1)
            : kind === 'hash'
              ? JSON.stringify(await client.hGetAll(name))
              : kind === 'stream'
                ? JSON.stringify(await client.xRange(name, '-', '+'))
                : '';
        dump.set(`${place} ${name}`, `${name}\n${String(plain)}\n${String(dumped)}`);
      }
    });
  }
  return dump;
}

const textOf = (value: unknown): string =>
  Buffer.isBuffer(value) ? `${value.toString('latin1')}\n${value.toString('hex')}` : (JSON.stringify(value) ?? '');
