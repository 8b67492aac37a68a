import { expect, test } from '@jest/globals';
import { Agent, request } from 'undici';

import { answer, callback, documentOf, password, type LiveWorld } from '../live-world.ts';

/** A realm as a SAML provider, and another whose people come from there. */
export function samlSuite(world: () => LiveWorld): void {
  const provider = '/guests/identity-provider/instances/elsewhere';
  const text = async (url: string): Promise<string> => {
    const agent = new Agent({ connect: { ca: world().ca } });
    try {
      const answer = await request(url, { dispatcher: agent });
      return await answer.body.text();
    } finally {
      await agent.close();
    }
  };
  const certificateIn = (metadata: string) => /<ds:X509Certificate>([^<]+)</.exec(metadata)?.[1] ?? '';

  /** Comes to `guests` by way of `elsewhere`, and stops at what is shown or given then. */
  async function visit(username: string) {
    const party = world().party('guests', 'portal');
    const browser = world().browser();
    const { url, verifier } = await party.authorization({ par: false, extra: { kc_idp_hint: 'elsewhere' } });
    // The request and the response travel in forms that a script would send.
    const login = await answer(browser, await browser.open(url, callback), {});
    expect(login.url).toContain('/realms/elsewhere/');
    const back = await answer(browser, await answer(browser, login, { username, password }), {});
    return { party, browser, verifier, back };
  }

  test('IA-8, SAML: a signed request, a signed assertion, and a person under its own name there', async () => {
    const home = `[app]\nname = "elsewhere"\nprofile = "fedramp-low"\n[keycloak]\nhostname = "auth.live.example"\n[keycloak.observability]\nenable = false\n[keycloak.realm.elsewhere]\n`;
    await world().apply(home);
    await world().admin.post('/elsewhere/components', {
      name: 'rsa',
      providerId: 'rsa-generated',
      providerType: 'org.keycloak.keys.KeyProvider',
      config: { algorithm: ['RS256'], keySize: ['2048'], priority: ['50'] },
    });
    const issuer = world().keycloak.issuer('elsewhere');
    const hub = documentOf(
      'fedramp-low',
      'guests',
      `[keycloak.realm.guests.federation.saml.elsewhere]\nentity_id = "${issuer}"\nsign_on_url = "${issuer}/protocol/saml"\ncertificate = "${certificateIn(await text(`${issuer}/protocol/saml/descriptor`))}"\n`,
    );
    await world().apply(hub);
    expect(await world().steps(hub)).toEqual([]);
    const broker = `${world().keycloak.issuer('guests')}/broker/elsewhere/endpoint`;
    await world().admin.post('/elsewhere/clients', {
      clientId: world().keycloak.issuer('guests'),
      protocol: 'saml',
      enabled: true,
      fullScopeAllowed: false,
      redirectUris: [broker],
      attributes: {
        'saml.client.signature': 'true',
        'saml.signing.certificate': certificateIn(await text(`${broker}/descriptor`)),
        'saml.assertion.signature': 'true',
        'saml.server.signature': 'true',
        'saml.signature.algorithm': 'RSA_SHA256',
        'saml.force.post.binding': 'true',
        saml_name_id_format: 'persistent',
        saml_assertion_consumer_url_post: broker,
      },
    });
    await world().person('elsewhere', 'guest');

    const { party, browser, verifier, back } = await visit('guest');
    // An assertion without attributes: the first time a person says the rest.
    const named = await answer(browser, back, { email: 'guest@live.example', firstName: 'Live', lastName: 'Guest' });
    expect((await party.redeem(new URL(named.location ?? named.url), verifier)).status).toBe(200);
    const [known] = await world().admin.get<{ id: string }[]>('/guests/users?email=guest@live.example');
    expect(await world().admin.get(`/guests/users/${known?.id}/federated-identity`)).toEqual([
      { identityProvider: 'elsewhere', userId: expect.stringMatching(/^G-/), userName: expect.any(String) },
    ]);
  });

  test('IA-8, SAML: what another key has signed is not believed', async () => {
    const held = await world().admin.get<{ config: Record<string, string> }>(provider);
    const other = certificateIn(await text(`${world().keycloak.issuer('guests')}/protocol/saml/descriptor`));
    expect(other).not.toBe(held.config['signingCertificate']);
    await world().admin.put(provider, { ...held, config: { ...held.config, signingCertificate: other } });
    const { back } = await visit('guest');
    expect(back.location ?? '').not.toContain('code=');
    expect(back.status).toBe(400);
    await world().admin.put(provider, held);
    expect((await visit('guest')).back.location).toContain('code=');
  });
}
