import { open, type FileHandle } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { ImportCounts, VaultHeader } from '@postern/client';
import { fileTrouble } from '../file-trouble.ts';
import { CommandFailed, exitCodes, type Terminal } from '../outcome.ts';
import { reachService } from '../reach-service.ts';
import { defineCommand } from '../table/command.ts';
import { textOf } from '../text-of.ts';

export const command = defineCommand({
  takes: 'FILE',
  positionals: [1, 1],
  about:
    "Takes the tokens of an auth_vault table over into auth-manager: FILE has a row of the table in each line, as JSON. A row is taken where its provider says that the token is of our own client there, lives, and is the same person's. Run again, what was taken is there already. Exit code 1 where a row was not taken.",
  options: {
    'vault-key': { type: 'string', value: 'FILE', about: 'the AES-256 key of the rows, 64 hex digits, in a file' },
    workload: { type: 'string', value: 'NAME', about: 'the job that may use the grants' },
    audience: { type: 'string', multiple: true, value: 'SERVICE', about: 'where it may; may be repeated' },
    scope: { type: 'string', multiple: true, value: 'SCOPE', about: 'with which scopes; may be repeated' },
    consented: {
      type: 'string',
      multiple: true,
      value: 'SCOPE',
      about: 'what the persons had consented to, where that is more',
    },
    provider: { type: 'string', value: 'ISSUER', about: "that gave the tokens; the administrator's own unless given" },
    as: { type: 'string', value: 'NAME', about: 'an administrator of the development stack' },
    to: { type: 'string', value: 'URL', about: 'auth-manager, where there is no development stack; then also:' },
    cert: { type: 'string', value: 'FILE', about: 'certificate of the workload' },
    key: { type: 'string', value: 'FILE', about: 'its private key' },
    ca: { type: 'string', value: 'FILE', about: 'CA of auth-manager' },
    token: { type: 'string', value: 'FILE', about: "an administrator's token for auth-manager with grants:write" },
    'dry-run': { type: 'boolean', about: 'says what would be done; asks the provider about each token all the same' },
    json: { type: 'boolean', about: 'the report as lines of JSON, the counts last' },
  },
  async run({ values, positionals }, terminal) {
    const header = headerOf(values, terminal);
    const path = resolve(terminal.folder, positionals[0] ?? '');
    const file = await open(path).catch((error: unknown) => {
      throw new CommandFailed(exitCodes.noInput, `${path} cannot be read: ${fileTrouble(error)}`);
    });
    const { postern, as } = await reachService(values, 'authManager', terminal).catch(async (error: unknown) => {
      await file.close();
      throw error;
    });
    let counts: ImportCounts = { imported: 0, importable: 0, already: 0, refused: 0 };
    try {
      for await (const line of postern.grantImports.authVault(header, rowsOf(file), as)) {
        if (values.json) terminal.out(JSON.stringify(line));
        if ('summary' in line) counts = line.summary;
        else if (line.outcome === 'refused' && !values.json)
          terminal.out(`not taken  ${line.row ?? 'a line'}: ${line.reason}`);
      }
    } finally {
      await Promise.all([file.close(), postern.close()]);
    }
    if (!values.json) show(counts, terminal);
    return counts.refused > 0 ? exitCodes.refused : exitCodes.done;
  },
});

type Values = {
  'vault-key': string | undefined;
  workload: string | undefined;
  audience: string[];
  scope: string[];
  consented: string[];
  provider: string | undefined;
  'dry-run': boolean;
};

/** @throws CommandFailed (64) naming the options that are missing, never a key. */
function headerOf(values: Values, terminal: Terminal): VaultHeader {
  const { workload, audience: audiences, scope: scopes, consented, provider } = values;
  if (values['vault-key'] === undefined || workload === undefined || audiences.length === 0 || scopes.length === 0)
    throw new CommandFailed(exitCodes.usage, '--vault-key, --workload, --audience and --scope are needed');
  const key = textOf(values['vault-key'], terminal).trim();
  if (!/^[0-9a-f]{64}$/i.test(key))
    throw new CommandFailed(exitCodes.usage, `${values['vault-key']} holds no key of 64 hex digits`);
  return {
    key,
    scopes: [...new Set([...scopes, ...consented])],
    handle: { workload, audiences, scopes },
    dryRun: values['dry-run'],
    ...(provider === undefined ? {} : { provider }),
  };
}

/** The file is read from where its first line is asked for: readline drops what it has read while nobody iterates. */
async function* rowsOf(file: FileHandle): AsyncGenerator<string> {
  for await (const line of file.readLines()) if (line.trim() !== '') yield line;
}

function show({ imported, importable, already, refused }: ImportCounts, { out }: Terminal): void {
  const taken = importable > 0 ? `${importable} would be imported` : `${imported} imported`;
  out(`${taken}, ${already} were there already, ${refused} not taken`);
}
