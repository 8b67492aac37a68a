import { constants } from 'node:crypto';
import type { ServerOptions } from 'node:https';
import type { SecureContextOptions, Server } from 'node:tls';
import type { TlsMaterial } from './material.ts';

/** The two AES-GCM suites of TLS 1.3: both are FIPS-approved and both have hardware behind them. */
const TLS13_SUITES = 'TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256';

function contextOf(material: TlsMaterial): SecureContextOptions {
  const { cert, key, ca } = material.current();
  return {
    cert,
    key,
    ca,
    minVersion: 'TLSv1.3',
    ciphers: TLS13_SUITES,
    // No resumption: a resumed session would carry over a client certificate that was checked long ago, perhaps
    // against anchors that are gone. Connections are long lived, so the full handshake costs little.
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
}

/**
 * Options of a TLS 1.3 server. `required`: a client certificate under our anchors or the handshake fails; `none`: no
 * certificate is asked for. Give the server to `followRotation` as well, or it keeps its first certificate for ever.
 */
export function serverTlsOptions(material: TlsMaterial, clients: 'required' | 'none'): ServerOptions {
  const required = clients === 'required';
  return { ...contextOf(material), requestCert: required, rejectUnauthorized: required };
}

/**
 * Makes `server` present and trust the newest material on connections opened from then on. Open ones live on: cap
 * their age (R12). Returns what ends it.
 */
export function followRotation(server: Pick<Server, 'setSecureContext'>, material: TlsMaterial): () => void {
  return material.onChange(() => server.setSecureContext(contextOf(material)));
}
