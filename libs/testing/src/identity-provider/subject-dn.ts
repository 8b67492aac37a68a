import { type X509Certificate } from 'node:crypto';

/** The whole subject of a certificate as RFC 2253 writes it: the last part first, joined by commas. */
export function subjectDnOf(certificate: X509Certificate): string {
  return certificate.subject.split('\n').reverse().join(',');
}
