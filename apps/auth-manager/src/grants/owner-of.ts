import type { Principal } from '@postern/oidc';
import { problem } from '@postern/runtime';
import type { Owner } from './grant.ts';

/**
 * The person whom a token speaks for, as the owner of grants (R3).
 * @throws Problem `person_required` for a workload that acts for itself.
 */
export function ownerOf({ tenant, person }: Principal): Owner {
  if (!person) throw problem('person_required');
  return { tenant, issuer: person.issuer, sub: person.sub };
}
