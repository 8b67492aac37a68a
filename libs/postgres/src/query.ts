import { CompiledQuery, type Kysely, type Transaction } from 'kysely';

/**
 * One SQL statement with `$1` placeholders, its rows. What libraries that own tables ask for: they see neither pg nor
 * Kysely. `bigint` and `numeric` come as strings, `bytea` as Buffer, `timestamptz` as Date.
 */
export type Query = <Row = unknown>(sql: string, values?: readonly unknown[]) => Promise<Row[]>;

/** `Query` on a Kysely transaction: what is written becomes visible with everything else in it, or not at all. */
export function queryIn<Schema>(tx: Transaction<Schema> | Kysely<Schema>): Query {
  return async <Row>(sql: string, values: readonly unknown[] = []) => {
    const { rows } = await tx.executeQuery<Row>(CompiledQuery.raw(sql, [...values]));
    return rows;
  };
}
