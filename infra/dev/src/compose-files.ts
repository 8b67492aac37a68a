import { createLocalRootKeyFile } from '@postern/branch-keys';
import { realmFor as compileRealm } from '@postern/keycloak/development';
import { profileNamed } from '@postern/profile';
import { X509Certificate } from 'node:crypto';
import { chmodSync, copyFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { issueCertificates } from './certificates.ts';
import { withEventReader } from './compose/event-reader.ts';
import { openToContainers } from './compose/open-to-containers.ts';
import { writePostgresFiles } from './compose/postgres-files.ts';
import { writeRedisFiles } from './compose/redis-files.ts';
import { keyFile, passwordFile, writeJson } from './files.ts';
import { realmFor } from './identity-provider.ts';
import { services, TRUST_DOMAIN, type Service } from './services.ts';
import { openHome, root, type Urls } from './state.ts';
import { policyFor } from './policy.ts';
import { trustFor } from './trust.ts';

// `npm run compose:files [-- FOLDER]`: what docker/compose.yaml mounts, by default in docker/.files. Keys and passwords
// are kept; certificates live 24 hours: run it again.
const home = openHome(resolve(process.argv[2] ?? join(root, 'docker/.files')));
const PROFILE = 'fedramp-moderate';
const host = (name: string) => `${name}.${TRUST_DOMAIN}`;

const certificates = await issueCertificates(home);
place('postgres', certificates.of.postgres);
place('redis-cache', certificates.of['redis-cache']);
place('redis-bus', await certificates.busAuthority.issue('redis-bus'));
place('keycloak', certificates.of['identity-provider']);
place('loki', await certificates.authority.issue('loki'));
writeFileSync(home.place('grafana', 'tls', 'ca.crt'), await certificates.authority.certificate());

function place(part: string, leaf: { cert: string; key: string; ca: string }, into = 'tls'): void {
  writeFileSync(home.place(part, into, 'tls.crt'), leaf.cert);
  writeFileSync(home.place(part, into, 'tls.key'), leaf.key);
  writeFileSync(home.place(part, into, 'ca.crt'), leaf.ca);
}

const urlsOf = (service: Service): Urls => ({
  api: `https://${host(service)}:8443`,
  public: `https://${host(service)}:9443`,
  management: `http://${host(service)}:8081`,
});
const urls = Object.fromEntries(services.map((service) => [service, urlsOf(service)])) as Record<Service, Urls>;
const issuer = `https://${host('identity-provider')}:8443/realms/postern`;
const { realm, clientKey } = await realmFor(
  home,
  { authManager: urls['auth-manager'], tokenExchange: urls['token-exchange'] },
  PROFILE,
);
const trustedIssuerDn = new X509Certificate(certificates.of['identity-provider'].ca).subject;
const eventReader = await keyFile(home, 'audit-sink-client.jwk');
const compiled = compileRealm({ realm, profile: profileNamed(PROFILE), trustedIssuerDn });
writeJson(home, 'keycloak/realm.json', withEventReader(compiled, eventReader.publicJwk));

const rootKey = home.place('root-key.json');
await createLocalRootKeyFile(rootKey);
for (const service of services) {
  place(service, certificates.of[service]);
  place(service, await certificates.busAuthority.issue(service), 'bus-tls');
  copyFileSync(rootKey, home.place(service, 'root-key.json'));
  const trust = trustFor(service, { realm: { issuer, jwksUri: `${issuer}/protocol/openid-connect/certs` }, urls });
  writeJson(home, `${service}/trust.json`, trust);
  copyFileSync(passwordFile(home, `redis-bus-${service}`).path, home.place(service, 'bus-password'));
}
for (const service of ['crypto-store', 'key-proxy'] as const)
  copyFileSync(passwordFile(home, `redis-cache-${service}`).path, home.place(service, 'cache-password'));
writeJson(home, 'token-exchange/policy.json', policyFor(issuer));
copyFileSync(clientKey, home.place('auth-manager', 'provider-client.jwk'));
copyFileSync(eventReader.path, home.place('audit-sink', 'provider-client.jwk'));
const poll = { keyPath: '/run/postern/provider-client.jwk' };
writeJson(home, 'audit-sink/sources.json', { keycloak: { realms: [{ issuer, tenant: 'acme', poll }] } });
// The days that infra/observability/loki/loki.yaml keeps.
const loki = { kind: 'loki', name: 'loki', url: `https://${host('loki')}:3100`, erasure: { withinDays: 7 } };
writeJson(home, 'audit-sink/forwarders.json', { targets: [loki] });
writePostgresFiles(home);
writeRedisFiles(home);

chmodSync(home.dir, 0o700);
for (const part of ['postgres', 'redis-cache', 'redis-bus', 'keycloak', 'loki', 'grafana', ...services]) {
  openToContainers(join(home.dir, part));
}
writeFileSync(home.place('compose.env'), `POSTERN_FILES_GROUP=${process.getgid?.() ?? 0}\n`);
process.stdout.write(`${home.dir}: certificates, trust tables, realm, passwords\n`);
