import type { AddressClass } from './address.ts';

/** Why a call did not leave, or why its answer was not taken. */
export type EgressReason =
  | 'malformed_url'
  | 'not_https'
  | 'credentials_in_url'
  | 'host_not_listed'
  | 'unresolvable'
  | 'address_refused'
  | 'unreachable'
  | 'tls_failed'
  | 'redirect'
  | 'encoded'
  | 'too_large'
  | 'timed_out'
  | 'deadline_passed'
  | 'closed';

/**
 * The one error of this package. It names the reason and, for `address_refused`, the class of the address; never the
 * URL, whose query may hold a code or a token.
 * `sent` is false only where it is certain that no byte of the request was written: what may be tried again.
 */
export class EgressRefused extends Error {
  readonly reason: EgressReason;
  readonly sent: boolean;
  readonly addressClass: AddressClass | undefined;

  constructor(reason: EgressReason, facts: { sent?: boolean; addressClass?: AddressClass; cause?: unknown } = {}) {
    super(`the outgoing call was refused: ${reason}`, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.name = 'EgressRefused';
    this.reason = reason;
    this.sent = facts.sent ?? false;
    this.addressClass = facts.addressClass;
  }
}
