import type { REVOCATION_HEAD_TYPE } from '@postern/oidc';

/** One SQL statement with `$1` placeholders; its rows (`@postern/postgres` has it). */
export type Query = <Row = unknown>(sql: string, values?: readonly unknown[]) => Promise<Row[]>;

/** Seals private keys; `context` must be the same at opening. */
export type Seal = {
  seal(plaintext: Uint8Array, context: Record<string, string>): Promise<Uint8Array>;
  open(message: Uint8Array, context: Record<string, string>): Promise<Uint8Array>;
};

/** The kinds of token a Postern issuer signs, by their `typ` header (R7). */
export type MintedType = 'at+jwt' | 'grant+jwt';

/** An assertion for another party's federation (RFC 7523), which gives credentials of its own for it: no token of Postern's. */
export const ASSERTION_TYPE = 'JWT';

/** Everything a Postern issuer signs, each kind under keys of its own. */
export type SignedType = MintedType | typeof ASSERTION_TYPE | typeof REVOCATION_HEAD_TYPE;
