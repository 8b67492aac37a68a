import { expect, test } from '@jest/globals';
import { applyPlan, planRealm } from '../../src/index.ts';
import { answer, callback, compiled, documentOf, password, type LiveWorld } from '../live-world.ts';

export function federationSuite(world: () => LiveWorld): void {
  test('IA-8: a person of another provider comes by a signed assertion, and under its own name there', async () => {
    const home = `[app]\nname = "home"\nprofile = "fedramp-low"\n[keycloak]\nhostname = "auth.live.example"\n[keycloak.observability]\nenable = false\n[keycloak.realm.home]\n[keycloak.client.hub]\nauthentication = "secret"\nredirect_uris = ["${world().keycloak.issuer('hub')}/broker/home/endpoint"]\n[keycloak.client.hub.secrets]\nclient_secret = "env:HUB"\n`;
    const secretOf = async () => 'the-hub-and-the-home-know-this';
    await applyPlan(world().admin, await planRealm(world().admin, compiled(home)), { secretOf });
    const hub = documentOf(
      'fedramp-low',
      'hub',
      `[keycloak.realm.hub.federation.oidc.home]\nissuer = "${world().keycloak.issuer('home')}"\nclient_id = "hub"\nclient_secret = "env:HUB"\n`,
    );
    await world().apply(hub);
    expect(await world().steps(hub)).toEqual([]);
    // A server reads the secret from its own vault; this one has none.
    const provider = '/hub/identity-provider/instances/home';
    const held = await world().admin.get<{ config: Record<string, string> }>(provider);
    await world().admin.put(provider, { ...held, config: { ...held.config, clientSecret: await secretOf() } });
    const id = await world().person('home', 'visitor');

    const party = world().party('hub', 'portal');
    const browser = world().browser();
    const { url, verifier } = await party.authorization({ par: false, extra: { kc_idp_hint: 'home' } });
    const there = await browser.open(url, callback);
    expect(there.url).toContain('/realms/home/');
    const back = await answer(browser, there, { username: 'visitor', password });
    const { status } = await party.redeem(new URL(back.location ?? back.url), verifier);
    expect(status).toBe(200);
    const [known] = await world().admin.get<{ id: string }[]>('/hub/users?username=visitor');
    expect(await world().admin.get(`/hub/users/${known?.id}/federated-identity`)).toEqual([
      { identityProvider: 'home', userId: id, userName: 'visitor' },
    ]);

    // What another key has signed is not believed: with a key set that is not the provider's nobody comes in.
    await world().admin.put(provider, {
      ...held,
      config: {
        ...held.config,
        clientSecret: await secretOf(),
        jwksUrl: `${world().keycloak.issuer('fedramp-low')}/protocol/openid-connect/certs`,
      },
    });
    const second = world().browser();
    const again = await second.open(
      (await party.authorization({ par: false, extra: { kc_idp_hint: 'home' } })).url,
      callback,
    );
    const refused = await answer(second, again, { username: 'visitor', password });
    expect(refused.location ?? '').not.toContain('code=');
  });
}
