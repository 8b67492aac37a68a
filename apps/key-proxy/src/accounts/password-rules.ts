import { problem, type Secret } from '@postern/runtime';
import { type BreachedPasswords } from './breached-passwords.ts';

/** Besides the words that anyone would try for this account, as much as this must be left. */
const LEFT_BESIDE_WORDS = 8;
const SHORTEST_WORD = 4;

/**
 * What NIST SP 800-63B section 3.1.1.2 asks of a new password beside its length: not on the list of breached ones, and
 * not made of the account's own words.
 * @throws Problem `invalid_input` that names the field and the rule
 */
export async function assertPasswordAllowed(
  breached: BreachedPasswords,
  { password, email, field }: { password: Secret; email: string; field: string },
): Promise<void> {
  const refuse = (rule: string) => problem('invalid_input', { fields: [{ field, rule }] });
  if (await breached.includes(password)) throw refuse('must not be a password that is known from breaches');
  let left = password.reveal().toLowerCase();
  for (const word of [email, ...email.split(/[@.+_-]/), 'postern', 'key-proxy'])
    if (word.length >= SHORTEST_WORD) left = left.replaceAll(word, '');
  if (left.length < LEFT_BESIDE_WORDS) throw refuse('must not be made of the address of the account');
}
