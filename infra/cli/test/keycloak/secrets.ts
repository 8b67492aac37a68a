import { expect, test } from '@jest/globals';
import { rotateKeys } from '@postern/keycloak';
import { rotateClientSecret } from '../../src/keycloak/rotate-client-secret.ts';
import { type ShopWorld } from './world.ts';

export function secretsSuite(world: () => ShopWorld): void {
  test('a rotated secret works at once, the old one no more; none is printed, each is an event of the administrators', async () => {
    const rotate = (...more: string[]) =>
      world().live('keycloak', 'client', 'rotate-secret', '--recipient', world().recipient, ...more);
    const before = await world().opened('api.age');
    expect(await rotate('--client-id', 'api')).toMatchObject({
      code: 0,
      out: 'api: has a new secret, sealed in age:api.age',
    });
    const after = await world().opened('api.age');
    expect([await world().secretOf('api', before), await world().secretOf('api', after)]).toEqual([401, 200]);

    expect(await rotate('--all', '--when-older-than', '90')).toMatchObject({
      out: 'api: its secret is due in 90 days',
    });
    expect(await world().opened('api.age')).toBe(after);
    // Kept for a server that has the feature; this one has not, and refuses the secret before.
    await rotate('--all', '--overlap', '24');
    expect([
      await world().secretOf('api', after),
      await world().secretOf('api', await world().opened('api.age')),
    ]).toEqual([401, 200]);
    expect(await world().live('apply', '--plan')).toMatchObject({ code: 0, out: 'realm shop: nothing to do' });

    expect(await rotate()).toMatchObject({ code: 64 });
    expect(await rotate('--all', '--client-id', 'api')).toMatchObject({ code: 64 });
    expect(await rotate('--client-id', 'api', '--overlap', 'long')).toMatchObject({ code: 64 });
    expect(await rotate('--client-id', 'web')).toMatchObject({ code: 1 });
    const changes = await world().adminEvents('CLIENT');
    expect(changes.filter(({ operationType }) => operationType === 'UPDATE').length).toBeGreaterThanOrEqual(2);
  });

  test('ended when the server has the new secret and its file is not in place, the next run puts it there', async () => {
    const ended = new Error('ended here');
    const client = { realm: 'shop', clientId: 'api', reference: 'age:api.age' };
    await world().asAdmin(async (admin) => {
      const put = async (path: string, body: unknown) => {
        await admin.put(path, body);
        throw ended;
      };
      const rotation = {
        folder: world().folder,
        recipients: [world().recipient],
        overlapHours: 0,
        now: () => new Date(),
      };
      await expect(rotateClientSecret({ ...admin, put }, client, rotation)).rejects.toBe(ended);
    });
    expect(await world().secretOf('api', await world().opened('api.age'))).toBe(401);
    const rotate = ['keycloak', 'client', 'rotate-secret', '--all', '--when-older-than', '90'];
    expect(await world().live(...rotate, '--recipient', world().recipient)).toMatchObject({
      code: 0,
      out: 'api: its secret is due in 90 days',
    });
    expect(await world().secretOf('api', await world().opened('api.age'))).toBe(200);
  });

  test('signing keys: published, then signing, then gone; tokens of the old key are verified until then; the document has nothing to do', async () => {
    const rotate = async (...more: string[]) =>
      JSON.parse(
        (await world().live('keycloak', 'realm', 'rotate-keys', '--json', '--when-older-than', '0', ...more)).out,
      ) as unknown;
    const step = (done: string) => [{ realm: 'shop', key: 'ecdsa-generated', done }];
    expect(await world().live('keycloak', 'realm', 'rotate-keys')).toMatchObject({ code: 0, out: 'nothing is due' });
    const first = await world().signingKey();

    expect(await rotate()).toEqual(step('published'));
    expect(await rotate()).toEqual([]);
    expect(await world().signingKey()).toBe(first);
    const published = await world().keySet();
    expect(published).toHaveLength(2);

    expect(await rotate('--publish', '0', '--keep', '1')).toEqual(step('signs'));
    const second = await world().signingKey();
    expect(second).not.toBe(first);
    expect(published).toContain(second);
    expect(await world().keySet()).toEqual(expect.arrayContaining([first, second]));
    expect(await world().live('apply', '--plan')).toMatchObject({ code: 0, out: 'realm shop: nothing to do' });
    // The key before it verifies for its hour: nothing is done meanwhile.
    expect(await rotate('--publish', '0')).toEqual([]);

    const later = { olderThanDays: 365, publishHours: 24, keepHours: 24, now: () => new Date(Date.now() + 7_200_000) };
    const done = await world().asAdmin((admin) => rotateKeys(admin, 'shop', later));
    expect(done).toEqual([{ key: 'ecdsa-generated', done: 'removed' }]);
    expect(await world().keySet()).toEqual([second]);
    expect((await world().adminEvents('COMPONENT')).map(({ operationType }) => operationType)).toEqual(
      expect.arrayContaining(['CREATE', 'UPDATE', 'DELETE']),
    );
  });
}
