import { encrypt } from '../transit/encrypt.ts';
import { transitRoutes, type Transit } from './transit-routes.ts';

/** Seals bytes that the caller keeps. */
export const encryptRoutes = (deps: Transit) =>
  transitRoutes(deps, {
    name: 'encrypt',
    audit: 'data.encrypted',
    input: 'plaintext',
    output: 'ciphertext',
    operation: encrypt,
  });
