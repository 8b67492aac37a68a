import { type CallService, shaped } from './call-service.ts';
import { type CallAs } from './options.ts';

export type EventQuery = { after?: string; limit?: number; action?: string };
export type EventPage = { events: readonly Record<string, unknown>[]; next?: string };

export type Audit = {
  /** A page of the caller's tenant's events, oldest first. Scope `audit:read`. */
  events(query: EventQuery, as: CallAs): Promise<EventPage>;
  /** The event with its proof of inclusion and a signed checkpoint: what `verifyReceipt` takes. Scope `audit:read`. */
  receipt(eventId: string, as: CallAs): Promise<unknown>;
};

export const createAudit = (call: CallService): Audit => ({
  async events(query, as) {
    const answer = await call({ method: 'GET', path: '/v1/events', query, scopes: ['audit:read'] }, as);
    return shaped<EventPage>('audit-sink', answer, 'events');
  },
  receipt: (eventId, as) =>
    call({ method: 'GET', path: `/v1/events/${encodeURIComponent(eventId)}/receipt`, scopes: ['audit:read'] }, as),
});
