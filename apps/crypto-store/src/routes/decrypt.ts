import { decrypt } from '../transit/decrypt.ts';
import { transitRoutes, type Transit } from './transit-routes.ts';

/** Opens what was sealed for the same tenant with the same context. */
export const decryptRoutes = (deps: Transit) =>
  transitRoutes(deps, {
    name: 'decrypt',
    audit: 'data.decrypted',
    input: 'ciphertext',
    output: 'plaintext',
    operation: decrypt,
  });
