import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import { createHash, randomBytes, webcrypto } from 'node:crypto';
import { nameConstraints } from './name-constraints.ts';
import { DEVELOPMENT_TRUST_DOMAIN, spiffeIdOf } from './workloads.ts';

x509.cryptoProvider.set(webcrypto);

/** PEM text of a certificate and of its PKCS #8 key. */
export type KeyAndCertificate = { certificate: string; key: string };

/** What a leaf says. Left out, it is what R4 wants of a workload; a test says otherwise to be refused. */
export type LeafNames = {
  commonName?: string;
  uris?: readonly string[];
  dns?: readonly string[];
  addresses?: readonly string[];
  usages?: readonly ('serverAuth' | 'clientAuth')[];
  notBefore?: Date;
  notAfter?: Date;
};

const P256 = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const SIGNATURE = { name: 'ECDSA', hash: 'SHA-256' } as const;
const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const CA_LIFE_DAYS = 3_650;
const LOOPBACK = { v4: [127, 0, 0, 1], v6: [...Array<number>(15).fill(0), 1] };

/** A root that may vouch for the development world only: loopback and the development trust domain. */
export async function createRoot(commonName: string): Promise<KeyAndCertificate> {
  const keys = await generateKeys();
  const certificate = await selfSignedRoot(commonName, keys, [DEVELOPMENT_TRUST_DOMAIN]);
  return { certificate, key: await pkcs8(keys.privateKey) };
}

/**
 * The same root for a browser: its name and key, and its constraints but for those on URIs. Chromium cannot judge these, and
 * refuses what it cannot judge; it takes no URI for a site's name.
 */
export async function rootForBrowsers(root: KeyAndCertificate): Promise<string> {
  const { publicKey, subjectName } = new x509.X509Certificate(root.certificate);
  const keys = { publicKey: await publicKey.export(P256, ['verify']), privateKey: await importPkcs8(root.key) };
  return selfSignedRoot(subjectName.getField('CN')[0]!, keys, []);
}

async function selfSignedRoot(
  commonName: string,
  keys: webcrypto.CryptoKeyPair,
  uriHosts: readonly string[],
): Promise<string> {
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: [{ CN: [commonName] }],
    notBefore: new Date(Date.now() - MINUTE_MS),
    notAfter: new Date(Date.now() + CA_LIFE_DAYS * DAY_MS),
    signingAlgorithm: SIGNATURE,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      nameConstraints({
        dns: ['localhost', DEVELOPMENT_TRUST_DOMAIN],
        uriHosts,
        addresses: [Uint8Array.from(LOOPBACK.v4), Uint8Array.from(LOOPBACK.v6)],
      }),
    ],
  });
  return `${certificate.toString('pem')}\n`;
}

/** A leaf under `root`, or a self-signed one when `root` is null. P-256, 24 hours. */
export async function createLeaf(
  root: KeyAndCertificate | null,
  workload: string,
  names: LeafNames = {},
): Promise<KeyAndCertificate> {
  const keys = await generateKeys();
  const subject = [{ CN: [names.commonName ?? workload] }];
  const common = {
    serialNumber: serialNumber(),
    notBefore: names.notBefore ?? new Date(Date.now() - MINUTE_MS),
    notAfter: names.notAfter ?? new Date(Date.now() + DAY_MS),
    signingAlgorithm: SIGNATURE,
    extensions: await leafExtensions(workload, names, keys.publicKey, root),
  };
  const certificate =
    root === null
      ? await x509.X509CertificateGenerator.createSelfSigned({ ...common, name: subject, keys })
      : await x509.X509CertificateGenerator.create({
          ...common,
          subject,
          issuer: new x509.X509Certificate(root.certificate).subject,
          publicKey: keys.publicKey,
          signingKey: await importPkcs8(root.key),
        });
  return { certificate: `${certificate.toString('pem')}\n`, key: await pkcs8(keys.privateKey) };
}

async function leafExtensions(
  workload: string,
  names: LeafNames,
  publicKey: webcrypto.CryptoKey,
  root: KeyAndCertificate | null,
): Promise<x509.Extension[]> {
  const {
    uris = [spiffeIdOf(workload)],
    dns = ['localhost', `${workload}.${DEVELOPMENT_TRUST_DOMAIN}`],
    addresses = ['127.0.0.1', '::1'],
    usages = ['serverAuth', 'clientAuth'],
  } = names;
  const alternatives = [
    ...uris.map((value) => ({ type: 'url' as const, value })),
    ...dns.map((value) => ({ type: 'dns' as const, value })),
    ...addresses.map((value) => ({ type: 'ip' as const, value })),
  ];
  return [
    new x509.BasicConstraintsExtension(false, undefined, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
    ...(usages.length > 0
      ? [new x509.ExtendedKeyUsageExtension(usages.map((usage) => x509.ExtendedKeyUsage[usage]))]
      : []),
    ...(alternatives.length > 0 ? [new x509.SubjectAlternativeNameExtension(alternatives)] : []),
    await x509.SubjectKeyIdentifierExtension.create(publicKey),
    ...(root === null
      ? []
      : [await x509.AuthorityKeyIdentifierExtension.create(new x509.X509Certificate(root.certificate).publicKey)]),
  ];
}

const generateKeys = () => webcrypto.subtle.generateKey(P256, true, ['sign', 'verify']);

async function pkcs8(key: webcrypto.CryptoKey): Promise<string> {
  const bytes = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key));
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? [];
  return ['-----BEGIN PRIVATE KEY-----', ...lines, '-----END PRIVATE KEY-----', ''].join('\n');
}

const importPkcs8 = (pem: string) =>
  webcrypto.subtle.importKey('pkcs8', x509.PemConverter.decodeFirst(pem), P256, false, ['sign']);

/** 126 random bits, positive (RFC 5280 4.1.2.2). */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0]! & 0x3f) | 0x40;
  return bytes.toString('hex');
}

/** base64url SHA-256 of the DER, as in `cnf.x5t#S256`. */
export const thumbprintOf = (certificate: string): string =>
  createHash('sha256')
    .update(Buffer.from(x509.PemConverter.decodeFirst(certificate)))
    .digest('base64url');
