import { createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';
import { serializePairs } from '@postern/envelope';

const KEY_BYTES = 32;

/**
 * A MAC or index key of a tenant (R30): HKDF-SHA-256 (RFC 5869) of the beacon key over purpose, tenant and name, so that
 * keys of different names or purposes say nothing about each other.
 */
export function macKeyOf(
  beaconKey: Uint8Array,
  { tenant, purpose, name }: { tenant: string; purpose: string; name: string },
): KeyObject {
  const info = serializePairs({ 'postern:mac': name, purpose, tenant });
  const derived = Buffer.from(hkdfSync('sha256', createSecretKey(beaconKey), Buffer.alloc(0), info, KEY_BYTES));
  const key = createSecretKey(derived);
  derived.fill(0);
  return key;
}
