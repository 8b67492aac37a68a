import { type Reading } from './reading.ts';
import { type Document } from './schema.ts';

/** What holds between the keys of the server's own tables. */
export function assertDeployment({ keycloak, auth, secrets }: Document, reading: Reading): void {
  const { refuse, profile, findings, lineOf, waivers } = reading;
  if (!keycloak) {
    if (!auth) refuse(['app'], 'neither [keycloak] nor [auth] says where people log in', { control: 'IA-2' });
    return;
  }
  if (!keycloak.enable) return;
  if (!keycloak.hostname) refuse(['keycloak', 'hostname'], 'is missing', { allowed: 'a host name', control: 'SC-8' });
  const { database, tls, clustering, deployment_mode: mode, fips_mode: fips } = keycloak;
  if (!database.require_ssl) {
    const local = ['localhost', '127.0.0.1'].includes(database.host);
    waivers.weaker(reading, ['keycloak', 'database', 'require_ssl'], { allowed: 'true', control: 'SC-8' });
    if (!local)
      refuse(['keycloak', 'database', 'require_ssl'], 'a database on another machine is reached by TLS only', {
        allowed: 'true',
      });
  }
  if (!tls.enable_mtls && profile.requireMtls)
    waivers.weaker(reading, ['keycloak', 'tls', 'enable_mtls'], { allowed: 'true', control: 'SC-8' });
  if (!fips && profile.fipsDefault)
    waivers.weaker(reading, ['keycloak', 'fips_mode'], { allowed: 'true', control: 'SC-13' });
  if (database.client_certificate_file && !database.client_key_file && !database.enable_client_cert)
    findings.push({
      id: 'database-key-beside-certificate',
      key: 'keycloak.database.client_certificate_file',
      line: lineOf(['keycloak', 'database', 'client_certificate_file']),
      severity: 'note',
      control: 'IA-3',
      message: 'the key is looked for beside the certificate, with -key before the ending',
    });
  if (mode === 'cluster') {
    const nodes = clustering.nodes.length;
    if (clustering.discovery === 'tcp' && nodes < 2)
      refuse(['keycloak', 'clustering', 'nodes'], 'discovery by tcp needs the names of the nodes', {
        allowed: 'at least 2 host names',
      });
    if (new Set(clustering.nodes).size < nodes) refuse(['keycloak', 'clustering', 'nodes'], 'names a node twice');
    if (nodes > 0 && clustering.owners > nodes)
      refuse(['keycloak', 'clustering', 'owners'], 'is more than there are nodes', { allowed: `at most ${nodes}` });
  } else if (clustering.enable) {
    refuse(['keycloak', 'clustering', 'enable'], `a ${mode} deployment has no cluster`, {
      allowed: 'false, or deployment_mode = "cluster"',
    });
  }
  if (mode === 'embedded' && profile.name === 'fedramp-high')
    findings.push({
      id: 'embedded-in-high',
      key: 'keycloak.deployment_mode',
      line: lineOf(['keycloak', 'deployment_mode']),
      severity: 'warning',
      control: 'SC-7',
      message: 'application and identity provider share one machine; the design has embedded for low and moderate only',
      suggestion: 'deployment_mode = "dedicated" or "cluster"',
    });
  if (secrets?.keycloak_admin_password && keycloak.secrets?.admin_password)
    refuse(['secrets', 'keycloak_admin_password'], 'stands also in [keycloak.secrets]', { allowed: 'one of the two' });
  if (secrets?.keycloak_db_password && keycloak.secrets?.db_password)
    refuse(['secrets', 'keycloak_db_password'], 'stands also in [keycloak.secrets]', { allowed: 'one of the two' });
}
