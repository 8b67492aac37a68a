import { X509Certificate } from 'node:crypto';
import type { Leaf } from './authority.ts';

/** TLS material that never rotates: what `TlsMaterial` of @postern/mtls asks for, around a leaf in hand. */
export type FixedTls = {
  current(): { cert: string; key: string; ca: string; thumbprint: string; notAfter: Date };
  onChange(listener: (files: ReturnType<FixedTls['current']>) => void): () => void;
  close(): void;
};

/** The leaf as material. To follow rotations, watch `leaf.paths` instead. */
export function fixedTls({ cert, key, ca, thumbprint }: Leaf): FixedTls {
  const files = { cert, key, ca, thumbprint, notAfter: new Date(new X509Certificate(cert).validTo) };
  return { current: () => files, onChange: () => () => {}, close: () => {} };
}
