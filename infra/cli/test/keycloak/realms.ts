import { expect, test } from '@jest/globals';
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

  test('a sealed backup makes the realm again, with its users and its clients’ secrets', async () => {
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
    const users = await world().asAdmin((admin) => admin.get<{ username: string }[]>('/shop/users'));
    expect(users.map(({ username }) => username)).toEqual(expect.arrayContaining(['ann', 'ben']));
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
