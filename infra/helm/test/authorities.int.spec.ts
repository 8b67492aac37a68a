import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { describeWith, realPart } from '@postern/testing';
import { openBaoBinary, startOpenBao, type OpenBao } from '@postern/testing/openbao';
import { helmProgram, render } from '../src/helm.ts';
import { matrix } from '../src/matrix.ts';

const run = promisify(execFile);
const parts = await realPart('Helm and OpenBao', async () => ({
  helm: await helmProgram(),
  bao: await openBaoBinary(),
}));

/** As infra/pki has it done, with the public names of examples/production.yaml. */
const WORKLOADS = [
  'token-exchange=tokens.example.com',
  'auth-manager=grants.example.com',
  'key-proxy=secrets.example.com',
  'crypto-store',
  'audit-sink',
];

type Leaf = { commonName: string; uris: string[]; dnsNames: string[] };

describeWith(parts, 'the authorities of infra/pki and the chart', ({ helm, bao }) => {
  let server: OpenBao;
  let folder: string;

  beforeAll(async () => {
    server = await startOpenBao();
    folder = await mkdtemp(join(tmpdir(), 'postern-authorities-'));
    const script = join(import.meta.dirname, '../../pki/openbao.sh');
    await run(script, ['postern.example.com', 'postern', ...WORKLOADS], {
      env: {
        PATH: `${dirname(bao)}${delimiter}${process.env['PATH']}`,
        BAO_ADDR: server.address,
        BAO_TOKEN: server.rootToken,
      },
    });
  });
  afterAll(async () => {
    await server.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** A request as cert-manager makes it of a Certificate, signed by the role of its service. */
  async function signed(mount: string, { commonName, uris, dnsNames }: Leaf): Promise<X509Certificate> {
    const names = [...uris.map((uri) => `URI:${uri}`), ...dnsNames.map((name) => `DNS:${name}`)].join(',');
    const [key, csr] = [join(folder, 'leaf.key'), join(folder, 'leaf.csr')];
    const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key];
    const subject = ['-subj', `/CN=${commonName}`, '-addext', `subjectAltName=${names}`];
    await run('openssl', ['req', '-new', ...kind, ...subject, '-out', csr]);
    const asked = {
      csr: await readFile(csr, 'utf8'),
      common_name: commonName,
      uri_sans: uris.join(','),
      alt_names: dnsNames.join(','),
    };
    const { data } = (await server.call('POST', `${mount}/sign/${commonName}`, asked)) as {
      data: { certificate: string };
    };
    return new X509Certificate(data.certificate);
  }

  test('every certificate that the chart asks for is signed by the role of its service, under all its names', async () => {
    const [, files, values] = matrix[0]!;
    const asked = (await render(helm, files, values)).filter(({ kind }) => kind === 'Certificate');
    expect(asked).toHaveLength(15);
    for (const { metadata, spec } of asked) {
      const leaf = spec as Leaf;
      const { subjectAltName } = await signed(metadata.name.endsWith('-bus-tls') ? 'postern-bus' : 'postern', leaf);
      const names = subjectAltName?.split(', ');
      expect(names).toEqual(expect.arrayContaining(leaf.dnsNames.map((name) => `DNS:${name}`)));
    }
  });
});
