import { type CallService, shaped } from './call-service.ts';
import { type CallAs, type CallOptions } from './options.ts';
import { type EventReceipt, type LoggedEvent, type VerifiedReceipt, verifyReceipt } from './verify-receipt.ts';

export type EventQuery = { after?: string; limit?: number; action?: string };
export type EventPage = { events: readonly LoggedEvent[]; next?: string };

export type Audit = {
  /** The log's verifier line. Keep it: a receipt convinces only by a key that was known before. Needs no token. */
  logKey(options?: CallOptions): Promise<string>;
  /** A page of the tenant's events, oldest first. Scope `audit:read`, role `auditor`. */
  events(query: EventQuery, as: CallAs): Promise<EventPage>;
  /** One event with its proof of inclusion and a signed checkpoint. Scope `audit:read`, role `auditor`. */
  receipt(eventId: string, as: CallAs): Promise<EventReceipt>;
  /** Checks a receipt without asking anybody. @throws PosternError `receipt_refused` */
  verifyReceipt(receipt: EventReceipt, trusted: { logKey: string }): VerifiedReceipt;
};

/** A GET over the certificate alone; its text. */
export type GetText = (path: string, options: CallOptions) => Promise<string>;

export const createAudit = (call: CallService, getText: GetText): Audit => ({
  logKey: async (options = {}) => (await getText('/v1/log/key', options)).trim(),
  async events(query, as) {
    const answer = await call({ method: 'GET', path: '/v1/events', query, scopes: ['audit:read'] }, as);
    return shaped<EventPage>('audit-sink', answer, 'events');
  },
  async receipt(eventId, as) {
    const path = `/v1/events/${encodeURIComponent(eventId)}/receipt`;
    const answer = await call({ method: 'GET', path, scopes: ['audit:read'] }, as);
    return shaped<EventReceipt>('audit-sink', answer, 'event', 'salt', 'leaf', 'proof', 'checkpoint');
  },
  verifyReceipt,
});
