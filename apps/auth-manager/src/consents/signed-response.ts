import { decodeJwt } from 'jose';
import { z } from 'zod';

const statement = z.looseObject({ state: z.string().regex(/^[\w-]{43}$/) });

/**
 * The state that a signed answer (JARM) names: only to find the consent by, and with it the provider whose keys decide
 * whether any of it is true. Null where it names none of our shape.
 */
export function stateIn(response: string): string | null {
  try {
    return statement.parse(decodeJwt(response)).state;
  } catch {
    return null;
  }
}
