import { expect, test } from '@jest/globals';
import { documentText, type ShopWorld } from './world.ts';

export function applySuite(world: () => ShopWorld): void {
  test('from a document to a live realm: what is planned is made, then nothing is left to do', async () => {
    expect(await world().postern(['keycloak', 'init-secrets', '--recipient', world().recipient])).toMatchObject({
      code: 0,
    });
    expect(await world().live('apply', '--plan')).toMatchObject({ code: 3, out: '+ shop: realm shop (document)' });
    expect(await world().live('verify')).toMatchObject({ code: 1 });
    expect(await world().live('apply')).toMatchObject({ code: 0 });
    expect(await world().live('apply', '--plan')).toMatchObject({ code: 0, out: 'realm shop: nothing to do' });
    expect(await world().live('keycloak', 'realm', 'diff')).toMatchObject({ code: 0 });
    expect(await world().secretOf('api', await world().opened('api.age'))).toBe(200);
  });

  test('a document that says something else is a plan with the values, before and after', async () => {
    world().write('postern.toml', documentText.replace('The shop', 'Another shop'));
    const { code, out } = await world().live('apply', '--plan');
    expect({ code, out: out.split('\n') }).toEqual({
      code: 3,
      out: ['~ shop: realm shop (document)', '    displayName: "The shop" -> "Another shop"'],
    });
    world().write('postern.toml', documentText);
  });

  test('a realm of more clients than one import takes is made in parts, and nothing is left to do', async () => {
    const many = (count: number) =>
      `[app]\nname = "many"\nprofile = "fedramp-low"\n[keycloak]\nhostname = "a.example"\n[keycloak.observability]\nenable = false\n[keycloak.realm.many]\nroles = ["clerk"]\n` +
      Array.from(
        { length: count },
        (_, at) =>
          `[keycloak.client.c${at}]\ntype = "public"\nredirect_uris = ["https://shop.example/c"]\n${at === 7 ? 'role_scope = ["clerk"]\nroles = ["reader"]\n' : ''}`,
      ).join('');
    world().write('many.toml', many(120));
    expect(await world().live('apply', '--file', 'many.toml')).toMatchObject({ code: 0 });
    expect(await world().live('apply', '--plan', '--file', 'many.toml')).toMatchObject({ code: 0 });
  });

  test('a wrong password of the administrator ends with 1', async () => {
    const { code, err } = await world().postern([
      'apply',
      '--plan',
      '--url',
      world().keycloak.url,
      '--ca',
      'ca.crt',
      '--username',
      'nobody',
    ]);
    expect({ code, err }).toEqual({ code: 1, err: 'the administrator was refused: invalid_grant' });
  });
}
