import { type CallStream } from './call-service.ts';
import { PosternError } from './errors.ts';
import { type Handle } from './grants.ts';
import { linesOf } from './lines-of.ts';
import { type CallAs } from './options.ts';

/** What all rows of an `auth_vault` table have in common, and what the grants are for. */
export type VaultHeader = {
  /** The AES-256 key that the rows are sealed with, 64 hex digits. */
  key: string;
  /** The issuer that gave the tokens; the administrator's own unless given. */
  provider?: string;
  /** What the persons are taken to have consented to. */
  scopes: readonly string[];
  handle: Handle;
  /** Everything is looked at, also at the provider, and nothing is stored. */
  dryRun?: boolean;
};

/** What became of a row. `importable`: in a dry run, what would have been `imported`. */
export type ImportedRow =
  | { outcome: 'imported' | 'already'; row: string; grant: string }
  | { outcome: 'importable'; row: string }
  | { outcome: 'refused'; row: string | null; reason: string };

export type ImportCounts = { imported: number; importable: number; already: number; refused: number };

/** A line of the report: one for each row as it is done, and the counts as the last. */
export type ImportLine = ImportedRow | { summary: ImportCounts };

export type GrantImports = {
  /**
   * Takes over rows (a line of JSON each, as they were exported) of the seed's `auth_vault` table. The rows are sent while the
   * report comes in, so read it. Scope `grants:write`, role `admin`.
   * @throws PosternError; `broken_off` where the report ended without its counts: sent again, what was taken is `already`
   */
  authVault(header: VaultHeader, rows: AsyncIterable<string>, as: CallAs): AsyncGenerator<ImportLine>;
};

export const createGrantImports = (callStream: CallStream): GrantImports => ({
  async *authVault({ dryRun = false, ...header }, rows, as) {
    const first = { format: 'auth_vault', ...header, ...(dryRun ? { dry_run: true } : {}) };
    const call = { path: '/v1/admin/imports', headers: {}, body: sent(first, rows), scopes: ['grants:write'] };
    let ended = false;
    for await (const line of linesOf(await callStream(call, as))) {
      const said = lineOf(line);
      ended = 'summary' in said;
      yield said;
    }
    if (!ended) throw new PosternError('auth-manager', 'broken_off');
  },
});

async function* sent(header: object, rows: AsyncIterable<string>): AsyncGenerator<Uint8Array> {
  yield Buffer.from(`${JSON.stringify(header)}\n`);
  for await (const row of rows) yield Buffer.from(`${row}\n`);
}

function lineOf(line: string): ImportLine {
  const said: unknown = JSON.parse(line);
  if (typeof said === 'object' && said !== null && ('summary' in said || 'outcome' in said)) return said as ImportLine;
  throw new PosternError('auth-manager', 'unexpected_answer');
}
