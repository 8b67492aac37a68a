import { busAcl } from '@postern/bus';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';

import { passwordFile } from '../files.ts';
import { services, type Service } from '../services.ts';
import { type Home } from '../state.ts';

/** Where the Redis containers find these files. */
const MOUNTED_AT = '/run/postern';

const keeping = {
  cache: ['maxmemory 256mb', 'maxmemory-policy allkeys-lfu', 'save ""'],
  bus: ['maxmemory-policy noeviction', 'appendonly yes', 'dir /data'],
};

const rulesOf = (kind: 'cache' | 'bus', service: Service): string =>
  kind === 'bus' ? busAcl(service) : `~${service}:* &${service}:* +@all -@admin -@dangerous`;

/** What the two Redis containers read: mutual TLS, a user per service, the default user off (R21). */
export function writeRedisFiles(home: Home): void {
  for (const kind of ['cache', 'bus'] as const) {
    const users = services.map((service) => {
      const { password } = passwordFile(home, `redis-${kind}-${service}`);
      const digest = createHash('sha256').update(password).digest('hex');
      return `user ${service} reset on #${digest} ${rulesOf(kind, service)}`;
    });
    writeFileSync(home.place(`redis-${kind}`, 'users.acl'), ['user default reset off', ...users, ''].join('\n'));
    const settings = [
      'port 0',
      'tls-port 6379',
      `tls-cert-file ${MOUNTED_AT}/tls/tls.crt`,
      `tls-key-file ${MOUNTED_AT}/tls/tls.key`,
      `tls-ca-cert-file ${MOUNTED_AT}/tls/ca.crt`,
      'tls-auth-clients yes',
      'tls-protocols TLSv1.3',
      `aclfile ${MOUNTED_AT}/users.acl`,
      ...keeping[kind],
      '',
    ];
    writeFileSync(home.place(`redis-${kind}`, 'redis.conf'), settings.join('\n'));
  }
}
