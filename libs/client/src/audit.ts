import { type CallService, shaped } from './call-service.ts';
import { type CallAs, type CallOptions } from './options.ts';
import { type EventReceipt, type LoggedEvent, type VerifiedReceipt, verifyReceipt } from './verify-receipt.ts';

export type EventQuery = { after?: string; limit?: number; action?: string; order?: 'oldest' | 'newest' };
export type EventPage = { events: readonly LoggedEvent[]; next?: string };

export type Audit = {
  /** The log's verifier line. Keep it: a receipt convinces only by a key that was known before. Needs no token. */
  logKey(options?: CallOptions): Promise<string>;
  /** A page of the tenant's events, oldest first unless asked otherwise. Scope `audit:read`, role `auditor`. */
  events(query: EventQuery, as: CallAs): Promise<EventPage>;
  /** One event with its proof of inclusion and a signed checkpoint. Scope `audit:read`, role `auditor`. */
  receipt(eventId: string, as: CallAs): Promise<EventReceipt>;
  /** The same page for an administrator of the tenant, or a service in their name. Scope `audit:read-tenant`, role `admin`. */
  tenantEvents(query: EventQuery, as: CallAs): Promise<EventPage>;
  /** The same receipt for an administrator of the tenant. Scope `audit:read-tenant`, role `admin`. */
  tenantReceipt(eventId: string, as: CallAs): Promise<EventReceipt>;
  /** Checks a receipt without asking anybody. @throws PosternError `receipt_refused` */
  verifyReceipt(receipt: EventReceipt, trusted: { logKey: string }): VerifiedReceipt;
};

/** A GET over the certificate alone; its text. */
export type GetText = (path: string, options: CallOptions) => Promise<string>;

/** Under which path events are shown, and with which scope. */
type Reader = { path: string; scopes: readonly string[] };
const AUDITOR: Reader = { path: '/v1/events', scopes: ['audit:read'] };
const TENANT_ADMIN: Reader = { path: '/v1/tenant/events', scopes: ['audit:read-tenant'] };

export function createAudit(call: CallService, getText: GetText): Audit {
  const eventsFor =
    (reader: Reader): Audit['events'] =>
    async (query, as) =>
      shaped<EventPage>('audit-sink', await call({ method: 'GET', ...reader, query }, as), 'events');
  const receiptFor =
    ({ path, scopes }: Reader): Audit['receipt'] =>
    async (eventId, as) => {
      const asked = { method: 'GET', path: `${path}/${encodeURIComponent(eventId)}/receipt`, scopes } as const;
      return shaped<EventReceipt>('audit-sink', await call(asked, as), 'event', 'salt', 'leaf', 'proof', 'checkpoint');
    };
  return {
    logKey: async (options = {}) => (await getText('/v1/log/key', options)).trim(),
    events: eventsFor(AUDITOR),
    receipt: receiptFor(AUDITOR),
    tenantEvents: eventsFor(TENANT_ADMIN),
    tenantReceipt: receiptFor(TENANT_ADMIN),
    verifyReceipt,
  };
}
