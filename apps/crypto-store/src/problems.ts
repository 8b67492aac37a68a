import { type ProblemTable } from '@postern/http';

/** The codes of this service; those of the guard, of parsing and of the parts below are `@postern/http`'s. */
export const problems = {
  record_not_found: { status: 404, title: 'There is no such record' },
  record_unreadable: { status: 422, title: 'The record cannot be opened' },
  record_contended: { status: 503, title: 'The record is being written by too many at once' },
} as const satisfies ProblemTable;
