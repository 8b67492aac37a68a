import { createLocalRootKeyFile } from '@postern/branch-keys';
import { busAcl } from '@postern/bus';
import { realmFor } from '@postern/keycloak';
import { profileNamed } from '@postern/profile';
import { ownerRoleOf, roleOf } from '@postern/testing';
import { createHash, randomBytes, X509Certificate } from 'node:crypto';
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { issueCertificates } from './certificates.ts';
import { passwordFile, writeJson } from './files.ts';
import { realmFor as realmOf } from './identity-provider.ts';
import { services, TRUST_DOMAIN, type Service } from './services.ts';
import { openHome, root, type Urls } from './state.ts';
import { trustFor } from './trust.ts';

// `npm run compose:files`: what docker/compose.yaml mounts, in docker/.files. Certificates live 24 hours: run it again.
const home = openHome(join(root, 'docker/.files'));
const PROFILE = 'fedramp-moderate';
const host = (name: string) => `${name}.${TRUST_DOMAIN}`;

const certificates = await issueCertificates(home);
for (const name of ['postgres', 'redis-cache', 'identity-provider'] as const) place(name, certificates.of[name]);
const busServer = await certificates.busAuthority.issue('redis-bus');
place('redis-bus', busServer);

function place(part: string, leaf: { cert: string; key: string; ca: string }, into = 'tls'): void {
  const folder = part === 'identity-provider' ? 'keycloak' : part;
  writeFileSync(home.place(folder, into, 'tls.crt'), leaf.cert);
  writeFileSync(home.place(folder, into, 'tls.key'), leaf.key, { mode: 0o600 });
  writeFileSync(home.place(folder, into, 'ca.crt'), leaf.ca);
}

const urlsOf = (service: Service): Urls => ({
  api: `https://${host(service)}:8443`,
  public: `https://${host(service)}:9443`,
  management: `http://${host(service)}:8081`,
});
const urls = Object.fromEntries(services.map((service) => [service, urlsOf(service)])) as Record<Service, Urls>;
const issuer = `https://${host('identity-provider')}:8443/realms/postern`;
const { realm, clientKey } = await realmOf(home, urls['auth-manager'], PROFILE);
const trustedIssuerDn = new X509Certificate(certificates.of['identity-provider'].ca).subject;
writeJson(home, 'keycloak/realm.json', realmFor({ realm, profile: profileNamed(PROFILE), trustedIssuerDn }));

const rootKey = home.place('root-key.json');
await createLocalRootKeyFile(rootKey);
for (const service of services) {
  place(service, certificates.of[service]);
  place(service, await certificates.busAuthority.issue(service), 'bus-tls');
  copyFileSync(rootKey, home.place(service, 'root-key.json'));
  writeJson(
    home,
    `${service}/trust.json`,
    trustFor(service, { realm: { issuer, jwksUri: `${issuer}/protocol/openid-connect/certs` }, urls }),
  );
  for (const kind of ['cache', 'bus'] as const) {
    copyFileSync(passwordFile(home, `redis-${kind}-${service}`).path, home.place(service, `${kind}-password`));
  }
}
copyFileSync(join(root, 'infra/dev/policy.json'), home.place('token-exchange', 'policy.json'));
copyFileSync(clientKey, home.place('auth-manager', 'provider-client.jwk'));

writeFileSync(home.place('postgres', 'pg_hba.conf'), 'local all all peer\nhostssl all all all cert map=workloads\n');
writeFileSync(
  home.place('postgres', 'pg_ident.conf'),
  services
    .flatMap((service) => [roleOf(service), ownerRoleOf(service)].map((role) => `workloads ${service} ${role}\n`))
    .join(''),
);
writeFileSync(home.place('postgres', 'superuser-password'), randomBytes(24).toString('base64url'), { mode: 0o600 });
writeFileSync(home.place('postgres', 'init.sql'), services.map(databaseSql).join('\n'));

function databaseSql(service: Service): string {
  const [role, owner] = [roleOf(service), ownerRoleOf(service)];
  return [
    `create role ${role} login nosuperuser nocreatedb nocreaterole;`,
    `create role ${owner} login nosuperuser nocreatedb nocreaterole;`,
    `create database ${role} owner ${owner};`,
    `revoke all on database ${role} from public;`,
    `grant connect on database ${role} to ${role};`,
    `\\connect ${role}`,
    `alter schema public owner to ${owner};`,
    '\\connect postgres',
    '',
  ].join('\n');
}

for (const kind of ['cache', 'bus'] as const) {
  const users = services.map((service) => {
    const digest = createHash('sha256')
      .update(passwordFile(home, `redis-${kind}-${service}`).password)
      .digest('hex');
    const rules = kind === 'bus' ? busAcl(service) : `~${service}:* &${service}:* +@all -@admin -@dangerous`;
    return `user ${service} reset on #${digest} ${rules}`;
  });
  writeFileSync(home.place(`redis-${kind}`, 'users.acl'), ['user default reset off', ...users, ''].join('\n'));
  const keep =
    kind === 'bus'
      ? ['maxmemory-policy noeviction', 'appendonly yes', 'dir /data']
      : ['maxmemory 256mb', 'maxmemory-policy allkeys-lfu', 'save ""'];
  writeFileSync(
    home.place(`redis-${kind}`, 'redis.conf'),
    [
      'port 0',
      'tls-port 6379',
      'tls-cert-file /run/postern/tls/tls.crt',
      'tls-key-file /run/postern/tls/tls.key',
      'tls-ca-cert-file /run/postern/tls/ca.crt',
      'tls-auth-clients yes',
      'tls-protocols TLSv1.3',
      'aclfile /run/postern/users.acl',
      ...keep,
      '',
    ].join('\n'),
  );
}
process.stdout.write(`${home.dir}: certificates, trust tables, realm, passwords\n`);
