import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openKeycloakAdmin, type KeycloakAdmin } from '@postern/keycloak';
import { developmentCa } from '@postern/testing';
import { startKeycloak } from '@postern/testing/keycloak';
import { armor, Decrypter, generateX25519Identity, identityToRecipient } from 'age-encryption';
import { Agent, request } from 'undici';
import { run } from '../../src/run.ts';

/** A Keycloak that has to be fetched, built or started on a busy machine. */
export const START_MS = 300_000;

export const documentText = `[app]
name = "shop"
profile = "fedramp-low"

[keycloak]
hostname = "auth.shop.example"

[keycloak.observability]
enable = false

[keycloak.realm.shop]
display_name = "The shop"

[keycloak.client.api]
kind = "worker"

[keycloak.client.api.secrets]
client_secret = "age:api.age"

[keycloak.client.web]
type = "public"
redirect_uris = ["https://shop.example/callback"]
`;

export type ShopWorld = Awaited<ReturnType<typeof openShop>>;

/** One Keycloak for all commands, and a folder with a document and the keys of its operator. */
export async function openShop() {
  const tls = await developmentCa().issue('identity-provider');
  const folder = mkdtempSync(join(tmpdir(), 'postern-shop-'));
  const identity = await generateX25519Identity();
  writeFileSync(join(folder, 'identity.txt'), identity, { mode: 0o600 });
  writeFileSync(join(folder, 'ca.crt'), tls.ca);
  writeFileSync(join(folder, 'postern.toml'), documentText);
  const keycloak = await startKeycloak({ tls, realms: [] });
  const agent = new Agent({ connect: { ca: tls.ca } });

  const postern = async (argv: readonly string[], input = '', more: Record<string, string> = {}) => {
    const lines = { out: [] as string[], err: [] as string[] };
    const code = await run(argv, {
      out: (line) => lines.out.push(line),
      err: (line) => lines.err.push(line),
      input: async () => input,
      folder,
      interactive: false,
      environment: {
        PATH: process.env['PATH'],
        KEYCLOAK_ADMIN_PASSWORD: keycloak.administrator.password,
        SOPS_AGE_KEY_FILE: join(folder, 'identity.txt'),
        ...more,
      },
    });
    return { code, out: lines.out.join('\n'), err: lines.err.join('\n') };
  };
  const server = ['--url', keycloak.url, '--ca', 'ca.crt', '--username', keycloak.administrator.username];
  const token = `${keycloak.issuer('shop')}/protocol/openid-connect/token`;
  const asked = async (url: string, form?: Record<string, string>) => {
    const answer = await request(url, {
      dispatcher: agent,
      ...(form ? { method: 'POST', body: new URLSearchParams(form).toString() } : {}),
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    });
    return { status: answer.statusCode, body: (await answer.body.json()) as Record<string, unknown> };
  };
  const asClient = (clientId: string, secret: string) =>
    asked(token, { grant_type: 'client_credentials', client_id: clientId, client_secret: secret });
  const opened = (file: string) => {
    const decrypter = new Decrypter();
    decrypter.addIdentity(identity);
    return decrypter.decrypt(armor.decode(readFileSync(join(folder, file), 'utf8')), 'text');
  };
  /** The administration beside the command. */
  const asAdmin = async <T>(work: (admin: KeycloakAdmin) => Promise<T>): Promise<T> => {
    const admin = openKeycloakAdmin({ url: keycloak.url, ca: tls.ca, ...keycloak.administrator });
    try {
      return await work(admin);
    } finally {
      await admin.close();
    }
  };

  return {
    folder,
    keycloak,
    server,
    recipient: await identityToRecipient(identity),
    postern,
    asAdmin,
    opened,
    /** A command that talks to the server. */
    live: (...argv: string[]) => postern([...argv, ...server]),
    /** What a client gets for this secret. */
    secretOf: async (clientId: string, secret: string) => (await asClient(clientId, secret)).status,
    /** The ids of the keys that tokens may be verified with. */
    keySet: async () => {
      const { body } = await asked(`${keycloak.issuer('shop')}/protocol/openid-connect/certs`);
      return (body['keys'] as { kid: string; use: string }[]).filter(({ use }) => use === 'sig').map(({ kid }) => kid);
    },
    /** The key that a new token is signed with. */
    signingKey: async () => {
      const { body } = await asClient('api', await opened('api.age'));
      const [header = ''] = String(body['access_token']).split('.');
      return (JSON.parse(Buffer.from(header, 'base64url').toString()) as { kid: string }).kid;
    },
    /** What administrators did, as audit-sink reads it. */
    adminEvents: (resourceType: string) =>
      asAdmin((admin) =>
        admin.get<{ operationType: string; representation?: string }[]>(
          `/shop/admin-events?resourceTypes=${resourceType}`,
        ),
      ),
    write: (name: string, text: string) => writeFileSync(join(folder, name), text),
    read: (name: string) => readFileSync(join(folder, name), 'utf8'),
    close: async () => {
      await agent.close();
      await keycloak.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
