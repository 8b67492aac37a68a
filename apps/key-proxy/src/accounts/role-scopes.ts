import { type Role } from '../db/schema.ts';

/** What an account's token allows (the seed's role matrix): users have secrets, administrators also the company's settings. */
export const roleScopes: Record<Role, readonly string[]> = {
  user: ['secrets:read', 'secrets:write'],
  admin: ['secrets:read', 'secrets:write', 'secrets:configure', 'secrets:audit'],
};
