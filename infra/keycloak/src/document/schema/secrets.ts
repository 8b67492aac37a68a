import { z } from 'zod';

import { secretReference } from '../names.ts';

/** `[keycloak.secrets]`: the shape with a table a part. */
export const keycloakSecrets = z.strictObject({
  admin_password: secretReference.optional(),
  db_password: secretReference.optional(),
});

/** `[keycloak.client.NAME.secrets]`. */
export const clientSecrets = z.strictObject({ client_secret: secretReference.optional() });

/** `[secrets]`: the backend, and the flat shape, where a client's secret is `NAME_client_secret` with _ for -. */
export const secrets = z
  .strictObject({
    backend: z.enum(['age', 'sops']).default('age').meta({ control: 'SC-28' }),
    identity_file: z
      .string()
      .regex(/^\/[A-Za-z0-9._/@+-]{1,1023}$/)
      .optional()
      .meta({ allowed: 'an absolute path' })
      .describe('the age identity that opens the references'),
    keycloak_admin_password: secretReference.optional(),
    keycloak_db_password: secretReference.optional(),
  })
  .catchall(secretReference);
