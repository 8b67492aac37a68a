import * as x509 from '@peculiar/x509';

/** What names a constrained CA may put into certificates. Addresses are IPv4 or IPv6, each alone. */
export type PermittedNames = { dns: readonly string[]; uriHosts: readonly string[]; addresses: readonly Uint8Array[] };

const SEQUENCE = 0x30;
const PERMITTED_SUBTREES = 0xa0;
const DNS_NAME = 0x82;
const URI = 0x86;
const IP_ADDRESS = 0x87;

/**
 * The critical extension of RFC 5280 4.2.1.10. A verifier that honours it refuses a leaf with any DNS, URI or IP name
 * outside these, so a development CA that leaks cannot vouch for anything else.
 */
export function nameConstraints({ dns, uriHosts, addresses }: PermittedNames): x509.Extension {
  const ascii = (text: string) => new TextEncoder().encode(text);
  const subtrees = [
    ...dns.map((name) => der(DNS_NAME, ascii(name))),
    ...uriHosts.map((host) => der(URI, ascii(host))),
    // An address is followed by its mask: all ones, exactly this one.
    ...addresses.map((address) => der(IP_ADDRESS, address, new Uint8Array(address.length).fill(0xff))),
  ].map((name) => der(SEQUENCE, name));
  return new x509.Extension('2.5.29.30', true, der(SEQUENCE, der(PERMITTED_SUBTREES, ...subtrees)));
}

/** One DER element, its content shorter than 64 KiB. */
function der(tag: number, ...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const header =
    length < 0x80 ? [tag, length] : length < 0x100 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 0xff];
  const element = new Uint8Array(header.length + length);
  element.set(header);
  let offset = header.length;
  for (const part of parts) {
    element.set(part, offset);
    offset += part.length;
  }
  return element;
}
