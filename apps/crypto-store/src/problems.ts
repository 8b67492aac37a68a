import { type ProblemTable } from '@postern/http';

/** The codes of this service; those of the guard, of parsing and of the parts below are `@postern/http`'s. */
export const problems = {
  record_not_found: { status: 404, title: 'There is no such record' },
  record_not_text: { status: 406, title: 'The record is bytes: read it at /v1/records' },
  precondition_failed: { status: 412, title: 'The record is not what the condition says' },
  record_unreadable: { status: 422, title: 'The record cannot be opened' },
  ciphertext_refused: { status: 422, title: 'The sealed bytes cannot be opened' },
  precondition_required: { status: 428, title: 'The record changes only under If-Match or If-None-Match' },
  record_contended: { status: 503, title: 'The record is being written by too many at once' },
} as const satisfies ProblemTable;
