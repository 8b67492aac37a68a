import { type ProblemTable } from '@postern/http';

/** The codes of this service; those of the guard, of parsing and of the parts below are `@postern/http`'s. */
export const problems = {
  record_not_found: { status: 404, title: 'There is no such record' },
  key_not_found: { status: 404, title: 'There is no such key or version' },
  destruction_not_found: { status: 404, title: 'No destruction of keys is under way' },
  person_required: { status: 403, title: 'This needs a person, not a workload' },
  same_person: { status: 403, title: 'This needs another person than the one who asked for it' },
  key_state_conflict: { status: 409, title: 'The state of the key does not allow this' },
  key_certificate_missing: { status: 409, title: 'No certificate says that this version protects nothing' },
  destruction_conflict: { status: 409, title: 'The state of the destruction does not allow this' },
  destruction_unavailable: { status: 409, title: 'This installation keeps no list of destroyed keys' },
  record_not_text: { status: 406, title: 'The record is bytes: read it at /v1/records' },
  precondition_failed: { status: 412, title: 'The record is not what the condition says' },
  record_unreadable: { status: 422, title: 'The record cannot be opened' },
  ciphertext_refused: { status: 422, title: 'The sealed bytes cannot be opened' },
  precondition_required: { status: 428, title: 'The record changes only under If-Match or If-None-Match' },
  record_contended: { status: 503, title: 'The record is being written by too many at once' },
} as const satisfies ProblemTable;
