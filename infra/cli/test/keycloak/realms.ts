import { expect, test } from '@jest/globals';
import { type KeycloakAdmin } from '@postern/keycloak';
import { type ShopWorld } from './world.ts';

export function realmsSuite(world: () => ShopWorld): void {
  test('users come in once, with a password to choose; a broken list changes nothing', async () => {
    const users = JSON.stringify([
      { username: 'ann', email: 'ann@shop.example', firstName: 'Ann', lastName: 'Buyer' },
      { username: 'ben' },
    ]);
    const bring = (text: string) =>
      world().postern(['keycloak', 'users', 'import', '--realm', 'shop', ...world().server], text);
    expect(await bring(JSON.stringify([{ username: 'carl' }, { username: 'd', password: 'hunter2' }]))).toMatchObject({
      code: 2,
      err: 'user 1: password is not taken',
    });
    expect(await bring(users)).toMatchObject({ code: 0, out: '2 users added, 0 were there already' });
    expect(await bring(users)).toMatchObject({ code: 0, out: '0 users added, 2 were there already' });
  });

  test('a sealed backup makes the realm again, with its users, what they may, and its clients’ secrets', async () => {
    await world().asAdmin(empower);
    const before = await world().asAdmin(powers);
    expect(
      await world().live('keycloak', 'backup', '--out', 'backup.age', '--recipient', world().recipient),
    ).toMatchObject({
      code: 0,
    });
    expect(world().read('backup.age').includes('shop')).toBe(false);
    expect(await world().live('keycloak', 'restore', 'backup.age')).toMatchObject({
      code: 1,
      out: 'realm shop: is there already, left alone',
    });
    await world().asAdmin((admin) => admin.delete('/shop'));
    expect(await world().live('keycloak', 'restore', 'backup.age')).toMatchObject({
      code: 0,
      out: 'realm shop: restored',
    });
    const users = await world().asAdmin((admin) => admin.get<User[]>('/shop/users?briefRepresentation=false'));
    expect(users.map(({ username }) => username)).toEqual(expect.arrayContaining(['ann', 'ben']));
    expect(users.find(({ username }) => username === 'ann')?.requiredActions.toSorted()).toEqual([
      'UPDATE_PASSWORD',
      'VERIFY_EMAIL',
    ]);
    expect(before).toMatchObject({
      ann: { realm: expect.arrayContaining(['clerk']), api: ['seller'], groups: ['/staff/north'] },
    });
    expect(before).toMatchObject({ account: { realm: expect.arrayContaining(['clerk']) } });
    expect(await world().asAdmin(powers)).toEqual(before);
    expect(await world().secretOf('api', await world().opened('api.age'))).toBe(200);
    expect(await world().live('apply', '--plan')).toMatchObject({ code: 0 });
  });

  test('realm export and import by pipe', async () => {
    const { out } = await world().live('keycloak', 'realm', 'export', '--all', '--live');
    const renamed = JSON.stringify(
      (JSON.parse(out) as { realm: string }[]).map(
        (realm) =>
          JSON.parse(
            JSON.stringify({ ...realm, id: undefined, realm: 'copy' }).replaceAll('/realms/shop/', '/realms/copy/'),
          ) as unknown,
      ),
    );
    expect(renamed).toContain('copy');
    const imported = await world().postern(
      ['keycloak', 'realm', 'import', ...world().server],
      (await world().postern(['keycloak', 'realm', 'export', '--name', 'shop'])).out.replace(
        '"realm": "shop"',
        '"realm": "copy"',
      ),
    );
    expect(imported).toMatchObject({ code: 0, out: 'realm copy: made' });
  });
}

type Named = { id: string; name: string };
type User = { id: string; username: string; requiredActions: string[] };
type Mappings = { realmMappings?: Named[]; clientMappings?: Record<string, { mappings: Named[] }> };

const idsIn = async (admin: KeycloakAdmin) => {
  const [ann] = await admin.get<User[]>('/shop/users?username=ann&exact=true');
  const [api] = await admin.get<Named[]>('/shop/clients?clientId=api');
  const account = await admin.get<User>(`/shop/clients/${api!.id}/service-account-user`);
  return { ann: ann!.id, api: api!.id, account: account.id };
};

/** Ann gets a role of the realm and one of a client, and is in a group below another; so does the account of the client. */
async function empower(admin: KeycloakAdmin): Promise<void> {
  const { ann, api, account } = await idsIn(admin);
  await admin.post('/shop/roles', { name: 'clerk' });
  await admin.post(`/shop/clients/${api}/roles`, { name: 'seller' });
  const [clerk, seller] = [
    await admin.get<Named>('/shop/roles/clerk'),
    await admin.get<Named>(`/shop/clients/${api}/roles/seller`),
  ];
  for (const user of [ann, account]) await admin.post(`/shop/users/${user}/role-mappings/realm`, [clerk]);
  await admin.post(`/shop/users/${ann}/role-mappings/clients/${api}`, [seller]);
  const staff = await admin.post('/shop/groups', { name: 'staff' });
  const north = await admin.post(`/shop/groups/${staff}/children`, { name: 'north' });
  await admin.put(`/shop/users/${ann}/groups/${north}`, {});
  await admin.put(`/shop/users/${ann}`, { requiredActions: ['VERIFY_EMAIL'] });
}

/** What Ann and the client's account may. */
async function powers(admin: KeycloakAdmin) {
  const { ann, account } = await idsIn(admin);
  const of = async (user: string) => {
    const { realmMappings = [], clientMappings = {} } = await admin.get<Mappings>(`/shop/users/${user}/role-mappings`);
    const groups = await admin.get<{ path: string }[]>(`/shop/users/${user}/groups`);
    return {
      realm: realmMappings.map(({ name }) => name).toSorted(),
      api: clientMappings['api']?.mappings.map(({ name }) => name) ?? [],
      groups: groups.map(({ path }) => path),
    };
  };
  return { ann: await of(ann), account: await of(account) };
}
