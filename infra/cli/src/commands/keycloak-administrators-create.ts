import { randomBytes } from 'node:crypto';
import { type KeycloakAdmin } from '@postern/keycloak';
import { CommandFailed, exitCodes } from '../outcome.ts';
import { serverOptions, withServer } from '../keycloak/server.ts';
import { readUsers } from '../keycloak/users.ts';
import { defineCommand } from '../table/command.ts';

const PASSWORD_BYTES = 24;
/** Upper and lower case, digits and a special character, whatever the rest is: a profile may ask for each. */
const newPassword = () => `${randomBytes(PASSWORD_BYTES).toString('base64url')}aA1!`;

/** The client that owns the roles of a policy document, in every realm that serves one. */
const BROKER = 'token-exchange';

export const command = defineCommand({
  takes: '--realm NAME --role ROLE PERSON PERSON',
  positionals: [2, 2],
  about: `Makes the first administrators of an installation: two accounts that hold the role which the policy's \`approvals\` names, since every
approval needs another person. Both or neither are made. Each gets a password for one login, printed once, and has to choose one and to set
up a second factor at that login. Refused (1) where somebody holds the role already, or a name is taken.`,
  options: {
    ...serverOptions,
    realm: { type: 'string', value: 'NAME', about: 'where they are made' },
    role: { type: 'string', value: 'ROLE', about: 'as the policy document names it in `approvals`' },
    json: { type: 'boolean', about: 'a list of { username, password }' },
  },
  async run({ values, positionals }, terminal) {
    const { realm, role } = values;
    if (realm === undefined) throw new CommandFailed(exitCodes.usage, '--realm says where they are made');
    if (role === undefined)
      throw new CommandFailed(exitCodes.usage, '--role says which role the policy has for approvals');
    const people = readUsers(JSON.stringify(positionals.map((username) => ({ username }))));
    return withServer(values, undefined, terminal, async (admin) => {
      await mustBeFirst(admin, realm, role);
      const made = people.map(({ username }) => ({ username, password: newPassword() }));
      // One transaction of the server: two at once, or a run cut short, leave no half of it.
      await admin.ask(`/${encodeURIComponent(realm)}/partialImport`, {
        ifResourceExists: 'FAIL',
        users: made.map(({ username, password }) => ({
          username,
          enabled: true,
          credentials: [{ type: 'password', value: password, temporary: true }],
          requiredActions: ['UPDATE_PASSWORD', 'CONFIGURE_TOTP'],
          clientRoles: { [BROKER]: [role] },
        })),
      });
      if (values.json) terminal.out(JSON.stringify(made));
      else for (const { username, password } of made) terminal.out(`${username}: ${password}`);
      terminal.err(
        `Each password is good for one login. When both have logged in, disable the account that made them.`,
      );
      return exitCodes.done;
    });
  },
});

/** @throws CommandFailed (1) where the realm has no such role, or a person or group that holds it */
async function mustBeFirst(admin: KeycloakAdmin, realm: string, role: string): Promise<void> {
  const inside = `/${encodeURIComponent(realm)}/clients`;
  const [broker] = await admin.get<{ id: string }[]>(`${inside}?clientId=${BROKER}`);
  const roles = broker ? await admin.get<{ name: string }[]>(`${inside}/${broker.id}/roles`) : [];
  if (broker === undefined || !roles.some(({ name }) => name === role))
    throw new CommandFailed(
      exitCodes.refused,
      `realm ${realm} has no role ${BROKER}/${role}: apply its document with the policy first`,
    );
  const held = `${inside}/${broker.id}/roles/${encodeURIComponent(role)}`;
  const holders = await admin.get<{ username: string }[]>(`${held}/users`);
  const groups = await admin.get<{ path: string }[]>(`${held}/groups`);
  const names = [...holders.map(({ username }) => username), ...groups.map(({ path }) => `group ${path}`)];
  if (names.length > 0)
    throw new CommandFailed(
      exitCodes.refused,
      `${role} is held by ${names.join(', ')} already: the first administrators are made once`,
    );
}
