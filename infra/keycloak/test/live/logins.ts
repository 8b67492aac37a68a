import { setTimeout } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { formOf } from '@postern/testing/identity-provider';
import { answer, callback, documentOf, password, totp, until, type LiveWorld } from '../live-world.ts';

export function loginsSuite(world: () => LiveWorld): void {
  test('IA-2(2): in high a password alone gives no code; a second factor is enrolled in the login, and asked for ever after', async () => {
    await world().person('fedramp-high', 'careful');
    const party = world().party('fedramp-high', 'portal');
    const browser = world().browser();
    const { url, verifier } = await party.authorization();
    const enrol = await answer(browser, await browser.open(url, callback), { username: 'careful', password });
    expect(enrol.location).toBeUndefined();
    const secret = formOf(enrol.text)?.fields['totpSecret'] ?? '';
    expect(secret).not.toBe('');
    const wrong = await answer(browser, enrol, { totp: '000000', userLabel: 'test' });
    expect(wrong.location).toBeUndefined();
    const enrolled = await answer(browser, wrong, { totp: totp(secret, Date.now()), userLabel: 'test' });
    const { status, body } = await party.redeem(new URL(enrolled.location ?? ''), verifier);
    expect({ status, expires: body['expires_in'], idle: body['refresh_expires_in'] }).toEqual({
      status: 200,
      expires: 300,
      idle: 600,
    });

    const second = world().browser();
    const asked = await answer(second, await second.open((await party.authorization()).url, callback), {
      username: 'careful',
      password,
    });
    expect(asked.location).toBeUndefined();
    expect(formOf(asked.text)?.names.has('otp')).toBe(true);
    // The next step's code: the one of the enrolment is not taken twice.
    const through = await answer(second, asked, { otp: totp(secret, Date.now() + 30_000) });
    expect(through.location).toContain('code=');
  });

  test('IA-2(1): elsewhere an administrator must have one, and nobody else is asked', async () => {
    const id = await world().person('fedramp-moderate', 'chief');
    const [management] = await world().admin.get<{ id: string }[]>(
      '/fedramp-moderate/clients?clientId=realm-management',
    );
    const role = await world().admin.get(`/fedramp-moderate/clients/${management?.id}/roles/realm-admin`);
    const party = world().party('fedramp-moderate', 'portal');
    const login = async () => {
      const browser = world().browser();
      return answer(browser, await browser.open((await party.authorization()).url, callback), {
        username: 'chief',
        password,
      });
    };
    expect((await login()).location).toContain('code=');
    await world().admin.post(`/fedramp-moderate/users/${id}/role-mappings/clients/${management?.id}`, [role]);
    const page = await login();
    expect(page.location).toBeUndefined();
    expect(formOf(page.text)?.fields['totpSecret']).toBeDefined();
  });

  test('AC-11, AC-12: a session ends when it is idle, and when it is old, by the settings that a profile fixes', async () => {
    await world().apply(documentOf('fedramp-moderate', 'short'));
    await world().person('short', 'tired');
    const party = world().party('short', 'portal');
    const session = async () => {
      const browser = world().browser();
      const { url, verifier } = await party.authorization();
      const back = await answer(browser, await browser.open(url, callback), { username: 'tired', password });
      return (await party.redeem(new URL(back.location ?? ''), verifier)).body;
    };
    // Each session is made under the profile's own times, and lives: however slow the server, only the change can end it.
    for (const short of [{ ssoSessionIdleTimeout: 2 }, { ssoSessionIdleTimeout: 900, ssoSessionMaxLifespan: 2 }]) {
      const { refresh_token: token } = await session();
      expect((await party.refresh(token)).status).toBe(200);
      await world().admin.put('/short', short);
      // A refresh is a use of the session, which begins to be idle anew: nothing asks for longer than it may be.
      await until(async () => {
        await setTimeout(3_000);
        return (await party.refresh(token)).body['error_description'] === 'Session not active';
      });
      await world().admin.put('/short', { ssoSessionIdleTimeout: 900, ssoSessionMaxLifespan: 14_400 });
    }
  });

  test('AU-2: logins, failures and changes by administrators are recorded', async () => {
    const types = async () =>
      (await world().admin.get<{ type: string; error?: string }[]>('/fedramp-moderate/events?max=200')).map(
        ({ type, error }) => `${type} ${error ?? ''}`,
      );
    await until(async () => (await types()).some((one) => one.startsWith('LOGIN_ERROR user_temporarily_disabled')));
    expect(await types()).toEqual(
      expect.arrayContaining(['LOGIN ', 'LOGIN_ERROR invalid_user_credentials', 'USER_DISABLED_BY_TEMPORARY_LOCKOUT ']),
    );
    const admin = await world().admin.get<{ resourceType: string; operationType: string }[]>(
      '/fedramp-moderate/admin-events?max=50',
    );
    expect(admin).toContainEqual(expect.objectContaining({ resourceType: 'USER', operationType: 'CREATE' }));
  });
}
