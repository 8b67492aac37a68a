import { resolve } from 'node:path';
import { type KeycloakAdmin, type PosternDocument } from '@postern/keycloak';
import { type Ask } from '../keycloak/database-roles.ts';
import { fileOption, openDocument } from '../keycloak/document.ts';
import { folderOf, sealed } from '../keycloak/rotate-client-secret.ts';
import { type DatabaseStep, rotateDatabasePassword } from '../keycloak/rotate-database-password.ts';
import { serverOptions, withServer } from '../keycloak/server.ts';
import { numberIn } from '../number-option.ts';
import { CommandFailed, exitCodes, type Terminal } from '../outcome.ts';
import { defineCommand } from '../table/command.ts';

export const command = defineCommand({
  about: `Gives Keycloak's server a new password of its database (IA-5, every 90 days), with an overlap: it has two roles, NAME_a and NAME_b, which
act as the owner of the tables, NAME (the document's username). The one that is not in use gets a new password, and its name and password
go into username_file and password_file (or the age: reference); then start every server anew. A later run closes the role before, and a
password that NAME itself has had. Each change is noted in the document's first realm before it is made, and so is an event of the log.
DATABASE_URL names who may alter these roles: postgresql://...?sslmode=verify-full&sslcert=... A timer runs it daily. Prints no password.`,
  options: {
    ...fileOption,
    ...serverOptions,
    'when-older-than': { type: 'string', value: 'DAYS', default: '90', about: 'leave a younger password alone' },
    keep: {
      type: 'string',
      value: 'HOURS',
      default: '24',
      about: 'how long the role before may log in, too; longer where somebody still does',
    },
    recipient: { type: 'string', multiple: true, value: 'age1...', about: 'who may open a sealed password' },
    json: { type: 'boolean', about: 'a list of { role, done }' },
  },
  async run({ values }, terminal) {
    const document = await openDocument(values.file, terminal);
    const rotation = {
      owner: document.document.keycloak?.database.username ?? 'keycloak',
      ...placesOf(document, folderOf(terminal.folder, values.file), values.recipient),
      olderThanDays: numberIn(values['when-older-than'], '--when-older-than DAYS', 3_650),
      keepHours: numberIn(values.keep, '--keep HOURS', 24 * 90),
      now: () => new Date(),
    };
    const realm = document.realms[0]?.name;
    if (realm === undefined) throw new CommandFailed(exitCodes.configuration, 'the document has no realm');
    const steps = await withServer(values, document, terminal, (admin) =>
      withDatabase(terminal, rotation.owner, (ask) =>
        rotateDatabasePassword({ ...rotation, ask, record: (role) => note(admin, realm, role) }),
      ),
    );
    if (values.json) terminal.out(JSON.stringify(steps));
    else for (const step of steps) terminal.out(said(step));
    return steps.some(({ done }) => done === 'in use') ? exitCodes.refused : exitCodes.done;
  },
});

function said(step: DatabaseStep): string {
  if (step.done === 'nothing') return `${step.role}: its password is due in ${step.daysLeft} days`;
  if (step.done === 'rotated') return `${step.role}: has a new password: start every server anew`;
  if (step.done === 'closed') return `${step.role}: may not log in any more`;
  return `${step.role}: may not be used any more, and ${step.sessions} sessions do: start every server anew`;
}

/** Where the name and the password go. @throws CommandFailed (78, 64) */
function placesOf({ document }: PosternDocument, folder: string, recipients: readonly string[]) {
  const { username_file: username, password_file: plain } = document.keycloak?.database ?? {};
  const reference = document.keycloak?.secrets?.db_password ?? document.secrets?.keycloak_db_password;
  if (username === undefined)
    throw new CommandFailed(
      exitCodes.configuration,
      'keycloak.database.username_file is where the name of the role goes',
    );
  if (reference === undefined && plain !== undefined)
    return { files: { username, password: plain }, sealed: async (password: string) => password };
  if (!reference?.startsWith('age:'))
    throw new CommandFailed(
      exitCodes.configuration,
      'keycloak.database.password_file, or an age: reference to db_password, is where the password goes',
    );
  if (recipients.length === 0)
    throw new CommandFailed(exitCodes.usage, '--recipient age1... says who may open the new password');
  return {
    files: { username, password: resolve(folder, reference.slice('age:'.length)) },
    sealed: (password: string) => sealed(password, recipients),
  };
}

/** A realm attribute that says which role is given a password, and when: a change by an administrator, which the log has. */
async function note(admin: KeycloakAdmin, realm: string, role: string): Promise<void> {
  const at = `/${encodeURIComponent(realm)}`;
  const { attributes } = await admin.get<{ attributes?: Record<string, string> }>(at);
  const rotated = `${role} at ${new Date().toISOString()}`;
  await admin.put(at, { attributes: { ...attributes, 'postern.database.password': rotated } });
}

/** One run at a time. @throws CommandFailed naming what the database said, never where it is */
async function withDatabase<T>(terminal: Terminal, owner: string, work: (ask: Ask) => Promise<T>): Promise<T> {
  const url = terminal.environment['DATABASE_URL'];
  if (!url || !/^postgres(ql)?:\/\//.test(url))
    throw new CommandFailed(exitCodes.configuration, 'DATABASE_URL is not set to a postgresql:// address');
  const { default: pg } = await import('pg');
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 15_000 });
  client.on('error', () => {});
  const failed = (error: unknown) =>
    new CommandFailed(exitCodes.unreachable, `the database: ${(error as { code?: string }).code ?? 'does not answer'}`);
  try {
    await client.connect();
  } catch (error) {
    throw failed(error);
  }
  const ask: Ask = async (statement, values = []) => {
    try {
      return (await client.query(statement, [...values])).rows as never;
    } catch (error) {
      throw failed(error);
    }
  };
  try {
    const [lock] = await ask<{ held: boolean }>('select pg_try_advisory_lock(hashtextextended($1, 0)) as held', [
      `postern: roles of ${owner}`,
    ]);
    if (!lock?.held) throw new CommandFailed(exitCodes.refused, 'another run is at it');
    return await work(ask);
  } finally {
    await client.end();
  }
}
