import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { developmentCa } from '@postern/testing';

import { startDirectory, type Directory } from '../directory.ts';
import { answer, callback, documentOf, password, type LiveWorld } from '../live-world.ts';

/** A realm whose people are in a directory. */
export function ldapSuite(world: () => LiveWorld, program: string): void {
  let directory: Directory;
  let text: string;

  beforeAll(async () => {
    const tls = await developmentCa().issue('identity-provider');
    directory = await startDirectory(program, tls, [{ uid: 'lena', mail: 'lena@live.example', password }]);
    text = documentOf(
      'fedramp-low',
      'staff',
      `[keycloak.realm.staff.federation.ldap.people]\nurl = "${directory.url}"\nusers_dn = "${directory.usersDn}"\nbind_dn = "${directory.bind.dn}"\nbind_credential = "env:LDAP"\n`,
    );
  });
  afterAll(() => directory?.close());

  const login = async (given: string) => {
    const party = world().party('staff', 'portal');
    const browser = world().browser();
    const { url, verifier } = await party.authorization({ par: false });
    const back = await answer(browser, await browser.open(url, callback), { username: 'lena', password: given });
    return { party, verifier, back };
  };
  /** A server reads the credential from its own vault; this one has none. */
  const bindWith = async (credential: string) => {
    const [held] = await world().admin.get<{ id: string; config: Record<string, string[]> }[]>(
      '/staff/components?type=org.keycloak.storage.UserStorageProvider',
    );
    await world().admin.put(`/staff/components/${held?.id}`, {
      ...held,
      config: { ...held?.config, bindCredential: [credential] },
    });
  };

  test('IA-8, LDAP: over TLS, a person of the directory logs in with the password there, and with no other', async () => {
    await world().apply(text);
    expect(await world().steps(text)).toEqual([]);
    await bindWith(directory.bind.password);
    expect((await login('Not-the-1-in-the-directory!')).back.location).toBeUndefined();
    const { party, verifier, back } = await login(password);
    expect((await party.redeem(new URL(back.location ?? back.url), verifier)).status).toBe(200);
    const [known] = await world().admin.get<Record<string, unknown>[]>('/staff/users?username=lena&exact=true');
    expect(known).toMatchObject({ email: 'lena@live.example', firstName: 'Live', lastName: 'lena' });
  });

  test('IA-8, LDAP: the server does not write to it', async () => {
    const [known] = await world().admin.get<{ id: string }[]>('/staff/users?username=lena&exact=true');
    const change = { type: 'password', value: `${password}-other`, temporary: false };
    await expect(world().admin.put(`/staff/users/${known?.id}/reset-password`, change)).rejects.toThrow(/400/);
    expect((await login(password)).back.location).toContain('code=');
  });

  test('IA-8, LDAP: without the directory nobody of it comes in', async () => {
    await directory.stop();
    expect((await login(password)).back.location).toBeUndefined();
  });
}
