import { createHmac } from 'node:crypto';

import { developmentCa, type Leaf } from '@postern/testing';
import { formOf, openHeadlessBrowser, type HeadlessBrowser, type Page } from '@postern/testing/identity-provider';
import { openRelyingParty, type RelyingParty } from '@postern/testing/relying-party';
import { startKeycloak, type KeycloakOptions, type RunningKeycloak } from '@postern/testing/keycloak';

import {
  applyPlan,
  compileRealm,
  modelsOf,
  openKeycloakAdmin,
  planRealm,
  readDocument,
  type KeycloakAdmin,
} from '../src/index.ts';

/** Where the contract's relying party waits; nothing listens there. */
export const callback = 'https://127.0.0.1:9443/callback';
export const password = 'Correct-Horse-7-Battery!';

/** A document of one realm with a client of each way of binding. */
export const documentOf = (profile: string, realm: string, more = '') => `[app]
name = "live"
profile = "${profile}"

[keycloak]
hostname = "auth.live.example"

[keycloak.observability]
enable = false

[keycloak.realm.${realm}]
trusted_issuer_dn = "CN=Postern development CA"
roles = ["teller"]

[keycloak.client.portal]
authentication = "certificate"
redirect_uris = ["${callback}"]

[keycloak.client.web]
type = "public"
redirect_uris = ["${callback}"]
${more}`;

/** The realm of a document; `beside` is what lies in its folder, by name. */
export const compiled = (text: string, beside: Record<string, string> = {}) => {
  const document = readDocument(text, { file: 'postern.toml', now: new Date(), beside: (name) => beside[name] });
  const [realm] = modelsOf(document).map(compileRealm);
  if (!realm) throw new Error('the document has no realm');
  return realm;
};

/** RFC 6238 with Keycloak's settings: SHA-1, six digits, 30 seconds; the secret is the text of its form. */
export function totp(secret: string, at: number): string {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(at / 30_000)));
  const mac = createHmac('sha1', secret).update(counter).digest();
  const offset = (mac.at(-1) ?? 0) & 15;
  return String((mac.readUInt32BE(offset) & 0x7fffffff) % 1_000_000).padStart(6, '0');
}

type PartyKey = NonNullable<Parameters<typeof openRelyingParty>[0]['key']>;
export type LiveWorld = Awaited<ReturnType<typeof openLiveWorld>>;

/** One Keycloak for all live checks, its administration, and clients of its realms. */
export async function openLiveWorld(options: Pick<KeycloakOptions, 'compiler' | 'distribution'> = {}) {
  const authority = developmentCa();
  const tls = await authority.issue('identity-provider');
  const portal: Leaf = await authority.issue('portal');
  const keycloak: RunningKeycloak = await startKeycloak({ tls, realms: [], ...options });
  const admin: KeycloakAdmin = openKeycloakAdmin({ url: keycloak.url, ca: tls.ca, ...keycloak.administrator });
  const opened: { close(): Promise<void> }[] = [];
  const kept = <T extends { close(): Promise<void> }>(one: T): T => {
    opened.push(one);
    return one;
  };
  return {
    admin,
    keycloak,
    tls,
    /** Makes the server what a document says. */
    apply: async (text: string): Promise<void> => applyPlan(admin, await planRealm(admin, compiled(text))),
    /** What is left to do, a line a step. */
    steps: async (text: string): Promise<string[]> => {
      const { steps } = await planRealm(admin, compiled(text));
      return steps.map(({ action, kind, name, because }) => `${action} ${kind} ${name} (${because})`);
    },
    ca: tls.ca,
    /** A client of a realm: with the portal's certificate, or without any. */
    party: (realm: string, clientId: string, certificate = true, key?: PartyKey): RelyingParty =>
      kept(
        openRelyingParty({
          issuer: keycloak.issuer(realm),
          ca: tls.ca,
          clientId,
          ...(certificate ? { certificate: { cert: portal.cert, key: portal.key } } : {}),
          ...(key ? { key } : {}),
        }),
      ),
    browser: (): HeadlessBrowser => kept(openHeadlessBrowser({ ca: tls.ca })),
    /** A person of a realm. @returns the id */
    person: (realm: string, username: string): Promise<string> =>
      admin.post(`/${realm}/users`, {
        username,
        enabled: true,
        email: `${username}@live.example`,
        emailVerified: true,
        firstName: 'Live',
        lastName: 'Example',
        credentials: [{ type: 'password', value: password, temporary: false }],
      }),
    close: async () => {
      await Promise.all(opened.map((one) => one.close()));
      await admin.close();
      await keycloak.close();
    },
  };
}

/** Fills in the form that a page shows, and sends it. */
export async function answer(browser: HeadlessBrowser, page: Page, fields: Record<string, string>): Promise<Page> {
  const form = formOf(page.text);
  if (!form) throw new Error(`no form at ${page.url}: ${page.status}`);
  return browser.submit(new URL(form.action, page.url).href, { ...form.fields, ...fields }, callback);
}

/** Asks again until it is so: times that were set to a second or two. */
export async function until(holds: () => Promise<boolean>): Promise<void> {
  for (;;) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}
