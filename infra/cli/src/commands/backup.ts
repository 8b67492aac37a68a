import { chmodSync, mkdirSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { digestOf, keptFile, writeManifest } from '../backup/manifest.ts';
import { databasesOf, pairsOf } from '../backup/pairs.ts';
import { postgresTools } from '../backup/postgres-tools.ts';
import { counted } from '../counted.ts';
import { CommandFailed, exitCodes } from '../outcome.ts';
import { defineCommand } from '../table/command.ts';

/** The log first: what producers commit after that, they still have when it is restored, or the log has it already. */
const FIRST = 'audit-sink';

export const command = defineCommand({
  about: `Writes a dump of each service's database into a new folder, with a manifest. The services go on meanwhile; each dump is one
moment of its database. What the databases seal stays sealed: the root key, and the list of destroyed keys, are named and never
copied, and whoever keeps all of it in one place has everything. A folder without its manifest is no whole backup.`,
  options: {
    into: { type: 'string', value: 'FOLDER', about: 'a folder that is empty or not there' },
    database: {
      type: 'string',
      multiple: true,
      value: 'NAME=URL',
      about: "a service's database, with the owner's role and no password; once a service",
    },
    keeps: {
      type: 'string',
      multiple: true,
      value: 'NAME=PATH',
      about: 'a file that a restore needs and the backup does not hold: destroyed-keys=PATH',
    },
    tools: { type: 'string', value: 'FOLDER', about: 'where pg_dump and psql are; default: on PATH' },
  },
  async run({ values }, terminal) {
    if (values.into === undefined) throw new CommandFailed(exitCodes.usage, '--into FOLDER is needed');
    const databases = databasesOf(values.database);
    const keeps = [];
    for (const [name, path] of pairsOf('keeps', values.keeps))
      keeps.push(await keptFile(name, resolve(terminal.folder, path)));
    const folder = resolve(terminal.folder, values.into);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (readdirSync(folder).length > 0) throw new CommandFailed(exitCodes.usage, `${folder} is not empty`);
    chmodSync(folder, 0o700);
    const tools = postgresTools(values.tools, terminal);
    const [version, at] = [await tools.version(), new Date().toISOString()];
    const services = [...databases.keys()].sort((a, b) => Number(b === FIRST) - Number(a === FIRST));
    const written = [];
    for (const service of services) {
      const file = `${service}.dump`;
      await tools.dump(databases.get(service) ?? '', join(folder, file));
      chmodSync(join(folder, file), 0o600);
      written.push({ service, file, sha256: await digestOf(join(folder, file)) });
      terminal.err(`${service}: ${file}`);
    }
    // Last: whoever finds it finds all of it.
    writeManifest(folder, { version: 1, at, tools: version, databases: written, keeps });
    terminal.out(`${counted(written.length, 'database')} in ${folder}`);
    return exitCodes.done;
  },
});
