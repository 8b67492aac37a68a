import { rewrap } from '../transit/rewrap.ts';
import { transitRoutes, type Transit } from './transit-routes.ts';

/** Seals anew under the active key version what an older one sealed; no plaintext leaves. */
export const rewrapRoutes = (deps: Transit) =>
  transitRoutes(deps, {
    name: 'rewrap',
    audit: 'data.rewrapped',
    input: 'ciphertext',
    output: 'ciphertext',
    operation: rewrap,
  });
