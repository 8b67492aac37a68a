import { isIP } from 'node:net';
import { checkServerIdentity, type ConnectionOptions, type PeerCertificate } from 'node:tls';
import type { TlsMaterial } from './material.ts';

export type ClientTls = ServerName & { ca: string; cert: string; key: string; minVersion: 'TLSv1.3' };

type ServerName = Pick<ConnectionOptions, 'servername' | 'checkServerIdentity'>;

/**
 * Options of a TLS 1.3 client, read once: for clients that keep what they were given and are rebuilt at rotation.
 * `servername` is the name or address that the server's certificate must carry.
 */
export function clientTls(material: TlsMaterial, servername: string): ClientTls {
  const { cert, key, ca } = material.current();
  return { cert, key, ca, minVersion: 'TLSv1.3', ...expected(servername) };
}

/** An address is never sent as SNI (RFC 6066, 3), so it is checked against the certificate's addresses by hand. */
function expected(servername: string): ServerName {
  if (isIP(servername) === 0) return { servername };
  return { checkServerIdentity: (_host: string, cert: PeerCertificate) => checkServerIdentity(servername, cert) };
}

/**
 * The `ssl` option of a pg Pool. pg reads its properties at every connection, so these are getters: a connection
 * opened after a rotation uses the new certificate. Give the pool `maxLifetimeSeconds`, or old connections stay.
 */
export function postgresTls(material: TlsMaterial, servername = 'localhost'): ConnectionOptions {
  return {
    minVersion: 'TLSv1.3',
    ...expected(servername),
    get cert() {
      return material.current().cert;
    },
    get key() {
      return material.current().key;
    },
    get ca() {
      return material.current().ca;
    },
  };
}

/** The `socket` option of node-redis, which keeps what it was given: `openRedis` builds a new client at rotation. */
export function redisTls(material: TlsMaterial, servername = 'localhost'): ClientTls & { tls: true } {
  return { tls: true, ...clientTls(material, servername) };
}
