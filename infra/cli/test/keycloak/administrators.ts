import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { type ShopWorld } from './world.ts';

const staff = `[app]
name = "staff"
profile = "fedramp-low"

[keycloak]
hostname = "auth.staff.example"

[keycloak.observability]
enable = false

[keycloak.realm.staff]
policy = "policy.json"
`;

type Account = {
  id: string;
  username: string;
  enabled: boolean;
  requiredActions: string[];
};

/** The first administrators of an installation (SECURITY.md), as its page says. */
export function administratorsSuite(world: () => ShopWorld): void {
  const create = (...words: string[]) =>
    world().live('keycloak', 'administrators', 'create', '--realm', 'staff', '--role', ...words);
  const accounts = () => world().asAdmin((admin) => admin.get<Account[]>('/staff/users'));
  const holders = (role: string) =>
    world().asAdmin(async (admin) => {
      const [broker] = await admin.get<{ id: string }[]>('/staff/clients?clientId=token-exchange');
      return admin.get<Account[]>(`/staff/clients/${broker!.id}/roles/${role}/users`);
    });

  test('from nothing: refused before the realm has its document, then two people hold the role of approvals', async () => {
    const policy = readFileSync(join(import.meta.dirname, '../../../dev/policy.json'), 'utf8');
    world().write('policy.json', policy);
    world().write('staff.toml', staff);
    expect(await create('operator', 'alice', 'bob')).toMatchObject({ code: 1, out: '' });
    expect(await world().live('apply', '--file', 'staff.toml')).toMatchObject({ code: 0 });
    expect(await create('nobody', 'alice', 'bob')).toMatchObject({
      code: 1,
      err: 'realm staff has no role token-exchange/nobody: apply its document with the policy first',
    });
    expect(await create('operator', 'alice')).toMatchObject({ code: 64 });
    expect(await create('operator', 'alice', 'alice')).toMatchObject({ code: 2, err: 'user 1.username: stands twice' });
    expect(await accounts()).toEqual([]);

    const { code, out } = await create('operator', 'alice', 'bob', '--json');
    expect(code).toBe(0);
    const made = JSON.parse(out) as { username: string; password: string }[];
    expect(made.map(({ username }) => username)).toEqual(['alice', 'bob']);
    expect(new Set(made.map(({ password }) => password)).size).toBe(2);

    const held = await holders('operator');
    expect(held.map(({ username }) => username).sort()).toEqual(['alice', 'bob']);
    for (const { id, enabled, requiredActions } of held) {
      expect({ enabled, actions: [...requiredActions].sort() }).toEqual({
        enabled: true,
        actions: ['CONFIGURE_TOTP', 'UPDATE_PASSWORD'],
      });
      const credentials = await world().asAdmin((admin) =>
        admin.get<{ type: string; temporary?: boolean }[]>(`/staff/users/${id}/credentials`),
      );
      expect(credentials.map(({ type }) => type)).toEqual(['password']);
    }
    const events = await world().asAdmin((admin) => admin.get<object[]>('/staff/admin-events'));
    for (const { password } of made) expect(JSON.stringify(events)).not.toContain(password);
  });

  test('not a second time, by whatever names; and a taken name leaves no half of it', async () => {
    for (const names of [
      ['carol', 'dave'],
      ['alice', 'bob'],
    ])
      expect(await create('operator', ...names)).toMatchObject({
        code: 1,
        out: '',
        err: 'operator is held by alice, bob already: the first administrators are made once',
      });
    expect(await create('auditor', 'carol', 'bob')).toMatchObject({ code: 1, out: '' });
    expect((await accounts()).map(({ username }) => username).sort()).toEqual(['alice', 'bob']);
    expect(await holders('auditor')).toEqual([]);
  });
}
