import { developmentCa } from '@postern/testing';
import { startOpenBao } from '@postern/testing/openbao';
import { passOnTo, startHttpsFront } from '@postern/testing/https-front';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { randomUUID } from 'node:crypto';
import { type Case } from '../assess.ts';
import { type Random, seeded } from '../random.ts';
import { openKeyProxyWorld } from './key-proxy-world.ts';

const EVERYTHING = ['secrets:read', 'secrets:write', 'secrets:use', 'secrets:configure'];

/**
 * R35: every way to write an address of this machine or network that a tenant may try, as the address of a vault and as the host
 * of a use. What listens there counts connections: none may come, whatever the answer is.
 */
export const addresses: Case = {
  name: 'key-proxy/addresses',
  guarantee: 'no address that a tenant gives leads a call to this machine, its network or a metadata service',
  async run({ scale, seed, say }) {
    const drawn = scale === 'small' ? 20 : scale === 'default' ? 100 : 2_000;
    const [bao, canary] = await Promise.all([startOpenBao(), startCanary()]);
    const listed = await startHttpsFront(passOnTo(bao.address));
    const { paths } = await developmentCa().issue('front');
    const hosts = `127.0.0.1:${listed.port}`;
    const world = await openKeyProxyWorld({
      POSTERN_PROVIDER_HOSTS: hosts,
      POSTERN_PROVIDER_CA_PATH: paths.ca,
      POSTERN_USE_HOSTS: hosts,
      POSTERN_USE_CA_PATH: paths.ca,
    });
    try {
      const client = await world.clientOf('job');
      const failed: string[] = [];
      /** Each pair of requests as another person of another tenant: rates are a caller's. */
      const asTenant = async () => {
        const token = await client.token(EVERYTHING, {
          tenant: `kp_${randomUUID().replaceAll('-', '')}`,
          roles: ['admin'],
        });
        return (method: string, path: string, body: object) =>
          client.send({
            method,
            path,
            headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
            body: JSON.stringify(body),
          });
      };
      const configure = (address: string) => ({ kind: 'openbao', credentials: { address, token: bao.rootToken } });
      const use = (host: string) => ({ host, placement: { kind: 'bearer' }, methods: ['GET'], path: '/v1/*/*' });
      const withSecret = async () => {
        const send = await asTenant();
        const configured = await send('PUT', '/v1/providers/main', configure(listed.url));
        const made = await send('POST', '/v1/secrets/s', { value: { text: 'a value' }, provider: 'main' });
        if (configured.status !== 200 || made.status !== 201) failed.push(`no secret: ${configured.text} ${made.text}`);
        return send;
      };
      const asked = { method: 'GET', path: '/v1/sys/health' };

      // The way there is open for what the operator lists: or what follows would show nothing.
      const control = await withSecret();
      await control('PUT', '/v1/secrets/s/use', use(hosts));
      listed.forgetCalls();
      const reached = await control('POST', '/v1/secrets/s/use', asked);
      if (reached.status !== 200 || listed.calls()['GET /v1/sys/health'] !== 1)
        failed.push(`the listed host was not reached: ${reached.status}`);

      let tried = 0;
      let send = control;
      for (const [at, host] of hostsAt(canary.port, seeded(seed), drawn).entries()) {
        if (at % 10 === 0) send = await withSecret();
        const vault = await send('PUT', '/v1/providers/other', configure(`https://${host}`));
        if (![400, 422, 503].includes(vault.status)) failed.push(`a vault at ${host}: ${vault.status}`);
        const defined = await send('PUT', '/v1/secrets/s/use', use(host));
        const used =
          defined.status === 200 || defined.status === 204 ? await send('POST', '/v1/secrets/s/use', asked) : null;
        if (used && used.status < 400) failed.push(`a use at ${host}: ${used.status}`);
        tried += 2;
        if (canary.touched() > 0) {
          failed.push(`${host} reached the canary`);
          canary.forget();
        }
      }
      say(`${tried} addresses tried, ${failed.length} accepted, canary touched ${canary.total()} times`);
      return { tried, failed, lost: [] };
    } finally {
      await Promise.all([world.close(), listed.close(), bao.close(), canary.close()]);
    }
  },
};

/** Counts connections on loopback, on one port of both address families. */
async function startCanary() {
  let [since, total] = [0, 0];
  const servers: Server[] = [];
  const listen = async (port: number, host: string) => {
    const server = createServer((socket) => {
      since += 1;
      total += 1;
      socket.destroy();
    });
    server.listen(port, host);
    await once(server, 'listening');
    servers.push(server);
    return (server.address() as AddressInfo).port;
  };
  const port = await listen(0, '127.0.0.1');
  await listen(port, '::1').catch(() => {});
  return {
    port,
    touched: () => since,
    total: () => total,
    forget: () => void (since = 0),
    close: () => Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve)))),
  };
}

/** Hosts as a tenant writes them: fixed ones, and spellings of loopback that are drawn. */
function hostsAt(port: number, random: Random, drawn: number): string[] {
  const fixed = [
    ...['127.0.0.1', '127.1', '127.0.1', '127.255.255.254', '0.0.0.0', '0', '0x7f000001', '2130706433', '017700000001'],
    ...[
      'localhost',
      'LOCALHOST',
      'localhost.',
      'a.localhost',
      '127.0.0.1.',
      '①②⑦.0.0.1',
      '127。0。0。1',
      'u:p@127.0.0.1',
    ],
    ...[
      '[::1]',
      '[::]',
      '[::ffff:127.0.0.1]',
      '[::ffff:7f00:1]',
      '[::127.0.0.1]',
      '[64:ff9b::7f00:1]',
      '[2002:7f00:1::]',
    ],
    ...['[fe80::1]', '[fc00::1]', '[fd00:ec2::254]', '[ff02::1]', '[::ffff:169.254.169.254]', '[64:ff9b::a9fe:a9fe]'],
    ...['169.254.169.254', '0xa9fea9fe', '169.254.170.2', '100.100.100.200', '100.64.0.1', '10.0.0.1', '172.16.0.1'],
    ...['192.168.0.1', '192.0.0.192', '198.18.0.1', '224.0.0.1', '255.255.255.255', '240.0.0.1'],
    ...['metadata.google.internal', 'kubernetes.default.svc', 'postgres', 'redis-cache'],
  ];
  const part = (value: number): string =>
    random.pick([`${value}`, `0x${value.toString(16)}`, `0X0${value.toString(16)}`, `0${value.toString(8)}`]) ?? '';
  const spelled = (): string => {
    const bytes = [127, random.between(0, 255), random.between(0, 255), random.between(1, 254)];
    const kept = random.between(1, 4);
    const last = bytes.slice(kept - 1).reduce((sum, byte) => sum * 256 + byte, 0);
    const v4 = [...bytes.slice(0, kept - 1), last].map(part).join('.');
    const [a = 0, b = 0, c = 0, d = 0] = bytes;
    const mapped = `[::ffff:${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}]`;
    return random.pick([v4, v4, mapped]) ?? v4;
  };
  return [...fixed, ...Array.from({ length: drawn }, spelled)].map((host) => `${host}:${port}`);
}
