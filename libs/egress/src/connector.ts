import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { connect, rootCertificates, type TLSSocket } from 'node:tls';
import type { buildConnector } from 'undici';
import { EgressRefused } from './refused.ts';
import type { Destination, ParsedRules } from './rules.ts';

/** All addresses of a name, in the order to try them. */
export type Resolve = (hostname: string) => Promise<readonly string[]>;

/** The system's resolver (hosts file, then DNS). */
export const systemResolve: Resolve = async (hostname) =>
  (await lookup(hostname, { all: true, verbatim: true })).map(({ address }) => address);

export type ConnectorOptions = {
  rules: ParsedRules;
  resolve: Resolve;
  /** PEM of further authorities, believed for listed hosts only; asked at each connection, so it may rotate. */
  listedAuthorities: () => string | undefined;
  connectTimeoutMs: number;
};

const addressesTried = 3;

async function addressesOf({ hostname }: Destination, resolve: Resolve): Promise<readonly string[]> {
  if (isIP(hostname)) return [hostname];
  try {
    return await resolve(hostname);
  } catch (cause) {
    throw new EgressRefused('unresolvable', { cause });
  }
}

function secureSocket(destination: Destination, address: string, ca: string[], timeoutMs: number): Promise<TLSSocket> {
  const { hostname, port } = destination;
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: address,
      port,
      ca,
      ALPNProtocols: ['http/1.1'],
      minVersion: 'TLSv1.2',
      // The name is what the certificate must hold and what SNI carries (RFC 6066 allows no address there).
      ...(isIP(hostname) ? {} : { servername: hostname }),
    });
    const timer = setTimeout(() => socket.destroy(new EgressRefused('timed_out')), timeoutMs);
    let connected = false;
    const fail = (cause: Error) => {
      clearTimeout(timer);
      if (cause instanceof EgressRefused) reject(cause);
      else reject(new EgressRefused(connected ? 'tls_failed' : 'unreachable', { cause }));
    };
    socket.once('error', fail);
    socket.once('connect', () => (connected = true));
    socket.once('secureConnect', () => {
      clearTimeout(timer);
      socket.off('error', fail);
      resolve(socket.setNoDelay(true));
    });
  });
}

/**
 * How undici opens a connection here: the name is resolved once, every address checked, and the socket goes to a
 * checked address, so that a second answer of the resolver cannot matter (DNS rebinding). No proxy is consulted.
 */
export function guardedConnector({ rules, resolve, listedAuthorities, connectTimeoutMs }: ConnectorOptions) {
  async function open(target: URL): Promise<TLSSocket> {
    const destination = rules.destination(target);
    const addresses = await addressesOf(destination, resolve);
    rules.assertAddresses(destination, addresses);
    const further = destination.listed ? listedAuthorities() : undefined;
    const ca = [...rootCertificates, ...(further === undefined ? [] : [further])];
    let last: unknown;
    for (const address of addresses.slice(0, addressesTried)) {
      try {
        return await secureSocket(destination, address, ca, connectTimeoutMs);
      } catch (error) {
        last = error;
      }
    }
    throw last;
  }

  const connector: buildConnector.connector = ({ protocol, host, hostname, port }, callback) => {
    const authority = host ?? (port ? `${hostname}:${port}` : hostname);
    open(new URL(`${protocol}//${authority}`)).then(
      (socket) => callback(null, socket),
      (error: unknown) => callback(error instanceof Error ? error : new EgressRefused('unreachable'), null),
    );
  };
  return connector;
}
