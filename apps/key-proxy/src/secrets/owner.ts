import { type Principal } from '@postern/oidc';
import { problem } from '@postern/runtime';

/** Whose secrets: a person is (tenant, issuer, sub), R3. */
export type Owner = { tenant: string; issuer: string; sub: string };

/**
 * The person that a token speaks for, also where a job acts for them.
 * @throws Problem `person_required` for a workload that acts for itself: secrets belong to people
 */
export function ownerOf({ tenant, person }: Pick<Principal, 'tenant' | 'person'>): Owner {
  if (!person) throw problem('person_required');
  return { tenant, issuer: person.issuer, sub: person.sub };
}
