import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { peerOfCertificate, workloadOf } from '@postern/mtls';
import { describeWith, realPart } from '@postern/testing';
import { openBaoBinary, startOpenBao, type OpenBao } from '@postern/testing/openbao';

const run = promisify(execFile);
const DOMAIN = 'postern.example.com';
const script = join(import.meta.dirname, '../openbao.sh');
const EC = ['ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
const spiffe = (workload: string) => `spiffe://${DOMAIN}/${workload}`;

const binary = await realPart('OpenBao', openBaoBinary);

describeWith(binary, 'the authorities in OpenBao', (bao) => {
  let server: OpenBao;
  let folder: string;
  const authorities = () =>
    run(script, [DOMAIN, 'postern', 'crypto-store', 'key-proxy=secrets.example.com,secrets.example.org'], {
      env: {
        PATH: `${dirname(bao)}${delimiter}${process.env['PATH']}`,
        BAO_ADDR: server.address,
        BAO_TOKEN: server.rootToken,
      },
    });

  beforeAll(async () => {
    server = await startOpenBao();
    folder = await mkdtemp(join(tmpdir(), 'postern-pki-'));
    // What a run leaves that ended before it made the first authority: the next one goes on from there.
    await server.call('POST', 'sys/mounts/postern', { type: 'pki', config: { max_lease_ttl: '87600h' } });
    await authorities();
  });
  afterAll(async () => {
    await server.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** A request for a leaf with these names, made by openssl as an agent would. */
  async function requestFor({ cn, uri, dns = [], also = [], key: kind = EC }: Names): Promise<string> {
    const names = [`URI:${uri}`, ...dns.map((name) => `DNS:${name}`), ...also].join(',');
    const csr = join(folder, 'leaf.csr');
    const key = ['-newkey', ...kind, '-nodes', '-keyout', join(folder, 'leaf.key')];
    await run('openssl', [
      'req',
      '-new',
      ...key,
      '-subj',
      `/CN=${cn}`,
      '-addext',
      `subjectAltName=${names}`,
      '-out',
      csr,
    ]);
    return readFile(csr, 'utf8');
  }
  type Names = { cn: string; uri: string; dns?: string[]; also?: string[]; key?: string[] };
  const sign = async (role: string, names: Names, more: object = {}, mount = 'postern') => {
    const csr = await requestFor(names);
    const { cn, uri, dns = [] } = names;
    const asked = { csr, common_name: cn, uri_sans: uri, alt_names: dns.join(','), ...more };
    const { data } = (await server.call('POST', `${mount}/sign/${role}`, asked)) as { data: Signed };
    return data;
  };
  type Signed = { certificate: string; issuing_ca: string };
  const own: Names = { cn: 'crypto-store', uri: spiffe('crypto-store'), dns: ['crypto-store.postern.svc'] };

  test('a workload gets a leaf of the shape that R4 asks for, for 72 hours, signed by its authority', async () => {
    const { certificate, issuing_ca } = await sign('crypto-store', own);
    const leaf = new X509Certificate(certificate);
    const table = { trustDomain: DOMAIN, workloads: [{ name: 'crypto-store', spiffeId: spiffe('crypto-store') }] };
    expect(workloadOf(peerOfCertificate(leaf), table)).toBe('crypto-store');
    expect(leaf.verify(new X509Certificate(issuing_ca).publicKey)).toBe(true);
    expect(leaf.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
    const hours = (leaf.validToDate.getTime() - leaf.validFromDate.getTime()) / 3_600_000;
    expect(hours).toBeGreaterThan(71);
    expect(hours).toBeLessThan(72.1);
  });

  test("an issuer's role signs for the name that its peers ask and for the public ones that it was given", async () => {
    const dns = ['key-proxy-peers.postern.svc', 'secrets.example.com', 'secrets.example.org'];
    const { certificate } = await sign('key-proxy', { cn: 'key-proxy', uri: spiffe('key-proxy'), dns });
    const names = new X509Certificate(certificate).subjectAltName?.split(', ');
    expect(names).toEqual(expect.arrayContaining(dns.map((name) => `DNS:${name}`)));
  });

  test.each<[string, Names]>([
    ["another's name", { ...own, cn: 'key-proxy' }],
    ["another's SPIFFE id", { ...own, uri: spiffe('key-proxy') }],
    ['another trust domain', { ...own, uri: 'spiffe://elsewhere.example/crypto-store' }],
    ['two SPIFFE ids', { ...own, also: [`URI:${spiffe('key-proxy')}`] }],
    ["another's public name", { ...own, dns: ['secrets.example.com'] }],
    ["another's host name", { ...own, dns: ['key-proxy.postern.svc'] }],
    ['a host below its own', { ...own, dns: ['x.crypto-store.postern.svc'] }],
    ['an address', { ...own, also: ['IP:127.0.0.1'] }],
    ['another kind of key', { ...own, key: ['rsa:2048'] }],
  ])('its role does not sign for %s', async (_what, names) => {
    await expect(sign('crypto-store', names)).rejects.toThrow('OpenBao answered 400');
  });

  test('a longer life than 72 hours is cut to it', async () => {
    const leaf = new X509Certificate((await sign('crypto-store', own, { ttl: '8760h' })).certificate);
    expect(leaf.validToDate.getTime() - Date.now()).toBeLessThan(72.1 * 3_600_000);
  });

  test("a workload's policy lets it use its own role, and no other", async () => {
    const policies = ['postern-crypto-store'];
    const { auth } = (await server.call('POST', 'auth/token/create', { policies, no_default_policy: true })) as {
      auth: { client_token: string };
    };
    const csr = await requestFor(own);
    const statusOf = async (path: string) => {
      const answer = await fetch(`${server.address}/v1/${path}`, {
        method: 'POST',
        headers: { 'x-vault-token': auth.client_token, 'content-type': 'application/json' },
        body: JSON.stringify({ csr, common_name: own.cn, uri_sans: own.uri }),
      });
      return answer.status;
    };
    expect(await statusOf('postern/sign/crypto-store')).toBe(200);
    expect(await statusOf('postern/sign/key-proxy')).toBe(403);
    expect(await statusOf('postern-bus/sign/crypto-store')).toBe(403);
    expect(await statusOf('postern/root/generate/internal')).toBe(403);
  });

  test('the bus has an authority of its own', async () => {
    const forBus = new X509Certificate((await sign('crypto-store', own, {}, 'postern-bus')).certificate);
    const { issuing_ca } = await sign('crypto-store', own);
    expect(forBus.verify(new X509Certificate(issuing_ca).publicKey)).toBe(false);
  });

  test('run again it keeps both authorities', async () => {
    const before = await sign('crypto-store', own);
    const { stdout } = await authorities();
    expect(stdout).not.toContain('was made');
    expect((await sign('crypto-store', own)).issuing_ca).toBe(before.issuing_ca);
  });
});
