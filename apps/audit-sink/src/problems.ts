import { type ProblemTable } from '@postern/http';

/** The codes of this service; those of the guard, of parsing and of the parts below are `@postern/http`'s. */
export const problems = {
  event_not_found: { status: 404, title: 'There is no such event' },
  key_rotated_meanwhile: { status: 409, title: 'Another request has rotated the key' },
  log_empty: { status: 404, title: 'The log has no signed checkpoint yet' },
  subject_not_found: { status: 404, title: 'The log holds nothing of this person' },
  tile_not_found: { status: 404, title: 'The log has no such tile' },
  tile_given_up: { status: 410, title: 'The log no longer keeps these entries' },
  tree_size_unknown: { status: 422, title: 'The log has no signed tree of that size' },
  webhook_not_found: { status: 404, title: 'There is no such webhook' },
  delivery_not_found: { status: 404, title: 'There is no such delivery' },
  webhook_url_refused: { status: 422, title: 'Webhooks may not go to that address' },
  too_many_webhooks: { status: 409, title: 'The tenant has as many webhooks as it may have' },
  signature_unavailable: { status: 422, title: 'This deployment does not sign that way' },
} as const satisfies ProblemTable;
