import { describe, expect, test } from '@jest/globals';
import { profileNames, profiles } from '@postern/profile';
import { applyPlan, planRealm } from '../../src/index.ts';
import { answer, callback, compiled, documentOf, password, type LiveWorld } from '../live-world.ts';

export function profilesSuite(world: () => LiveWorld): void {
  describe.each(profileNames)('%s', (name) => {
    test('exports again without a difference, and a second apply makes no write', async () => {
      const before = world().admin.writes();
      const plan = await planRealm(world().admin, compiled(documentOf(name, name)));
      expect(plan.steps).toEqual([]);
      await applyPlan(world().admin, plan);
      expect(world().admin.writes()).toBe(before);
    });

    test('9.1: discovery names PAR, mTLS aliases, signed responses and PS256 or ES256 for assertions', async () => {
      const { status, body } = await world()
        .party(name, 'web', false)
        .get(`${world().keycloak.issuer(name)}/.well-known/openid-configuration`);
      expect(status).toBe(200);
      expect(body).toMatchObject({
        issuer: world().keycloak.issuer(name),
        pushed_authorization_request_endpoint: expect.stringContaining('/ext/par/request'),
        mtls_endpoint_aliases: { token_endpoint: expect.any(String) },
        tls_client_certificate_bound_access_tokens: true,
        code_challenge_methods_supported: expect.arrayContaining(['S256']),
        response_modes_supported: expect.arrayContaining(['jwt', 'query.jwt']),
        token_endpoint_auth_signing_alg_values_supported: expect.arrayContaining(['PS256', 'ES256']),
        authorization_response_iss_parameter_supported: true,
      });
    });

    test('AC-7: the account is locked at the count of the profile, for its time, also for the right password', async () => {
      const { lockoutAttempts, lockoutMinutes } = profiles[name];
      const id = await world().person(name, 'locked');
      const party = world().party(name, 'portal');
      const attempt = async (given: string) => {
        const browser = world().browser();
        const page = await browser.open((await party.authorization({ par: profiles[name].fapi })).url, callback);
        return (await answer(browser, page, { username: 'locked', password: given })).text;
      };
      for (let failures = 0; failures < lockoutAttempts; failures += 1) await attempt('wrong');
      const state = `/${name}/attack-detection/brute-force/users/${id}`;
      const held = await world().admin.get<{
        disabled: boolean;
        numFailures: number;
        failedLoginNotBefore?: number;
        lastFailure: number;
      }>(state);
      expect(held).toMatchObject({ disabled: true, numFailures: lockoutAttempts });
      if (held.failedLoginNotBefore) {
        const seconds = held.failedLoginNotBefore - Math.floor(held.lastFailure / 1000);
        expect(Math.abs(seconds - lockoutMinutes * 60)).toBeLessThan(60);
      }
      expect(await attempt(password)).toContain('Invalid username or password');
    });

    test('IA-5(1): a short, a plain and a used password are refused by the server', async () => {
      const id = await world().person(name, 'careless');
      const change = (value: string) =>
        world()
          .admin.put(`/${name}/users/${id}/reset-password`, { type: 'password', value, temporary: false })
          .then(() => 'taken')
          .catch((error: Error) => error.message);
      const { passwordMinLength } = profiles[name];
      expect(await change(`Aa1!${'x'.repeat(passwordMinLength - 5)}`)).toContain(
        `400 Invalid password: minimum length ${passwordMinLength}`,
      );
      expect(await change('x'.repeat(40))).toMatch(/400 Invalid password: must contain at least 1/);
      expect(await change(password)).toContain('400 Invalid password: must not be equal to any of last 24 passwords');
      expect(await change(`${password}-other`)).toBe('taken');
    });
  });
}
