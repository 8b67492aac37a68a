import { PosternError } from '@postern/client';
import { importSecret, type Imported, type ImportTo, type NotTaken } from '../kv/import-secret.ts';
import { openKvSource, PathRefused, type KvSource } from '../kv/kv-source.ts';
import { counted } from '../counted.ts';
import { CommandFailed, exitCodes, type Terminal } from '../outcome.ts';
import { reachService } from '../reach-service.ts';
import { defineCommand } from '../table/command.ts';
import { textOf } from '../text-of.ts';

export const command = defineCommand({
  about:
    'Copies the secrets of a KV v2 mount of Vault or OpenBao into crypto-store: every version that is still there, with its custom metadata, its settings, and its number and time under kv.version and kv.created. The records belong to the workload that writes them. Run again, it goes on where it stopped; a record that it did not write is never written over. Exit code 1 where something that is there was not taken.',
  options: {
    address: { type: 'string', value: 'URL', about: 'of the server; BAO_ADDR or VAULT_ADDR unless given' },
    mount: { type: 'string', value: 'PATH', default: 'secret', about: 'of the KV v2 engine' },
    namespace: { type: 'string', value: 'NAME', about: 'of the server' },
    'server-ca': { type: 'string', value: 'FILE', about: "PEM of the server's CA" },
    'server-token': {
      type: 'string',
      value: 'FILE',
      about: 'its token in a file; BAO_TOKEN or VAULT_TOKEN unless given',
    },
    folder: { type: 'string', value: 'PATH', default: '', about: 'only what is below it' },
    prefix: { type: 'string', value: 'TEXT', default: '', about: 'stands before each path in the key of its record' },
    as: { type: 'string', value: 'NAME', about: 'a user or workload of the development stack' },
    to: { type: 'string', value: 'URL', about: 'crypto-store, where there is no development stack; then also:' },
    cert: { type: 'string', value: 'FILE', about: 'certificate of the workload' },
    key: { type: 'string', value: 'FILE', about: 'its private key' },
    ca: { type: 'string', value: 'FILE', about: 'CA of crypto-store' },
    token: { type: 'string', value: 'FILE', about: 'a token for crypto-store with records:read and records:write' },
    'dry-run': { type: 'boolean', about: 'says what would be done' },
    json: { type: 'boolean', about: 'the report as one JSON object' },
  },
  async run({ values }, terminal) {
    const address = values.address ?? terminal.environment['BAO_ADDR'] ?? terminal.environment['VAULT_ADDR'];
    if (address === undefined) throw new CommandFailed(exitCodes.usage, '--address is needed');
    const file = (path: string | undefined) => (path === undefined ? undefined : textOf(path, terminal));
    const token =
      file(values['server-token'])?.trim() ?? terminal.environment['BAO_TOKEN'] ?? terminal.environment['VAULT_TOKEN'];
    if (token === undefined)
      throw new CommandFailed(exitCodes.usage, 'the token of the server is needed: --server-token, BAO_TOKEN');
    const ca = file(values['server-ca']);
    const { mount, namespace } = values;
    const at = {
      address,
      mount,
      token,
      ...(namespace === undefined ? {} : { namespace }),
      ...(ca === undefined ? {} : { ca }),
    };
    const source = openKvSource(at);
    const { postern, as } = await reachService(values, 'cryptoStore', terminal);
    const dryRun = values['dry-run'] === true;
    const to = { records: postern.records, as, keyOf: (path: string) => `${values.prefix}${path}`, dryRun };
    const report = { mount, dryRun, paths: 0, written: 0, already: 0, notTaken: [] as NotTaken[] };
    try {
      for await (const path of source.paths(values.folder.replace(/([^/])$/, '$1/'))) {
        const imported = await taken(source, path, to);
        report.paths += 1;
        report.written += imported.written;
        report.already += imported.already;
        report.notTaken.push(...imported.notTaken);
      }
    } finally {
      await Promise.all([source.close(), postern.close()]);
    }
    if (values.json) terminal.out(JSON.stringify(report));
    else show(report, terminal);
    return report.notTaken.some(({ nothing }) => !nothing) ? exitCodes.refused : exitCodes.done;
  },
});

/** One that either side refuses does not end the others; a side that is away does. */
async function taken(source: KvSource, path: string, to: ImportTo): Promise<Imported> {
  const refused = (reason: string) => ({ written: 0, already: 0, notTaken: [{ path, reason, nothing: false }] });
  try {
    return await importSecret(source, await source.secret(path), to);
  } catch (error) {
    if (error instanceof PathRefused) return refused('source_refused');
    if (error instanceof PosternError && error.status !== undefined && error.status < 500) return refused(error.code);
    throw error;
  }
}

type Report = { dryRun: boolean; paths: number; written: number; already: number; notTaken: NotTaken[] };

function show({ dryRun, paths, written, already, notTaken }: Report, { out }: Terminal): void {
  for (const { path, version, reason } of notTaken)
    out(`not taken  ${path}${version === undefined ? '' : ` version ${version}`}: ${reason}`);
  out(
    `${counted(paths, 'secret')}: ${counted(written, 'version')} ${dryRun ? 'would be written' : 'written'}, ${already} were there already`,
  );
}
