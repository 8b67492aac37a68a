import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { readManifest, requireKept, type Manifest } from '../backup/manifest.ts';
import { databasesOf, pairsOf } from '../backup/pairs.ts';
import { postgresTools, type PostgresTools } from '../backup/postgres-tools.ts';
import { counted } from '../counted.ts';
import { CommandFailed, exitCodes } from '../outcome.ts';
import { defineCommand } from '../table/command.ts';

// Of others' sessions an owner sees who and where, and not their kind: whoever has logged in counts.
const OTHERS = `select count(*) from pg_stat_activity
  where datname = current_database() and pid <> pg_backend_pid() and usesysid is not null`;

/** What a newer database has and the dump has not must not stay. A dump takes `public` for granted. */
const EMPTY = 'drop schema if exists migrations cascade; drop schema public cascade; create schema public;\n';

/**
 * Says to the service that its database is another one now: its relay asks the log where it stands before it numbers anything, and
 * opens a new epoch (R22); auth-manager asks the provider about each grant before it uses it (R20).
 */
const MARK = `
update public.audit_producer set cluster = 'restored';
do $$ begin
  if to_regclass('public.restores') is not null then update public.restores set marker = 'restored'; end if;
end $$;
`;

export const command = defineCommand({
  about: `Puts databases back to the state of a backup, each in one transaction, and marks them as restored. Everything is checked before
anything is touched: the dumps are those that were written, nobody is connected, the list of destroyed keys is the newest. What
happened since the backup is gone from these databases; what was published of the log is not, and the log says what it lacks.`,
  options: {
    from: { type: 'string', value: 'FOLDER', about: 'the folder of `postern backup`' },
    database: {
      type: 'string',
      multiple: true,
      value: 'NAME=URL',
      about: "a service's database, with the owner's role and no password; only those named are restored",
    },
    keeps: {
      type: 'string',
      multiple: true,
      value: 'NAME=PATH',
      about: 'where a file lies now that the backup named: destroyed-keys=PATH',
    },
    tools: { type: 'string', value: 'FOLDER', about: 'where pg_restore and psql are; default: on PATH' },
  },
  async run({ values }, terminal) {
    if (values.from === undefined) throw new CommandFailed(exitCodes.usage, '--from FOLDER is needed');
    const databases = databasesOf(values.database);
    const folder = resolve(terminal.folder, values.from);
    const manifest = await readManifest(folder);
    const wanted = dumpsOf(manifest, databases);
    const places = pairsOf('keeps', values.keeps);
    for (const kept of manifest.keeps) {
      const place = places.get(kept.name);
      await requireKept(kept, place === undefined ? undefined : resolve(terminal.folder, place));
    }
    const tools = postgresTools(values.tools, terminal);
    for (const { service, url } of wanted) {
      const others = await tools.ask(url, OTHERS);
      if (others !== '0')
        throw new CommandFailed(
          exitCodes.refused,
          `${counted(Number(others), 'other session')} at ${service}'s database: stop what is connected first`,
        );
    }
    for (const { service, url, file } of wanted) {
      await restored(tools, url, join(folder, file));
      terminal.err(`${service}: as it was at ${manifest.at}`);
    }
    terminal.out(`${counted(wanted.length, 'database')} restored to ${manifest.at}; now, in this order:`);
    for (const line of afterwards(wanted.map(({ service }) => service))) terminal.out(`- ${line}`);
    return exitCodes.done;
  },
});

function dumpsOf(manifest: Manifest, databases: ReadonlyMap<string, string>) {
  const known = manifest.databases.map(({ service }) => service);
  const unknown = [...databases.keys()].filter((service) => !known.includes(service));
  if (unknown.length > 0)
    throw new CommandFailed(exitCodes.usage, `the backup holds no ${unknown.join(', ')}; it holds ${known.join(', ')}`);
  return manifest.databases.flatMap(({ service, file }) => {
    const url = databases.get(service);
    return url === undefined ? [] : [{ service, url, file }];
  });
}

async function restored(tools: PostgresTools, url: string, dump: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'postern-restore-'));
  try {
    const [empty, statements, mark] = ['empty.sql', 'statements.sql', 'mark.sql'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    writeFileSync(empty, EMPTY);
    writeFileSync(mark, MARK);
    await tools.statementsOf(dump, statements);
    await tools.apply(url, [empty, statements, mark]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function afterwards(services: readonly string[]): string[] {
  const log = services.includes('audit-sink')
    ? [
        'start audit-sink: it fills its tree up from what was published and takes nothing new before the events have come again (R27)',
        'start the others: each sends again what the log lacks. GET /v1/log/producers says what is wanted still',
        'what nobody has any more, as the events of audit-sink itself since the backup, is given up by POSTERN_AUDIT_ACCEPT_LOSS, the size that the log names; it stands in log_lost',
      ]
    : ['start them: each finds where the log stands with it, and opens a new epoch (R22)'];
  return [
    'run the migrations of the release that will serve',
    ...log,
    ...(services.includes('crypto-store')
      ? ['postern audit verify --records says which records are older than the log (R34)']
      : []),
    ...(services.includes('auth-manager')
      ? ['grants are asked about at their provider before their first use (R20)']
      : []),
  ];
}
