import { z } from 'zod';

const text = z.string().max(512);
const code = z.string().max(64);
const count = z.int().min(0);
const list = z.array(text).max(64);
const scopes = z.array(z.string().max(128)).max(64);

/**
 * Data that were sealed or opened for a caller. `message` is the id that stands in a sealed message in clear: who holds one
 * finds who opened it. Of a batch: how many, how many were refused, and SHA-256 over the ids of the others in their order.
 */
const data = z.strictObject({
  bytes: count,
  message: code.optional(),
  count: count.optional(),
  failed: count.optional(),
  messages: code.optional(),
});

/**
 * Every action that may be recorded, with the details it carries. One line a kind of event; adding an action is adding a
 * line here. Details name what happened, never a secret, a token or a payload: only ids, codes, counts and hashes.
 *
 * An event whose outcome is `success` carries every field that is not optional here; any other outcome may lack them,
 * because the operation may have been refused before they were known.
 */
export const actions = {
  // crypto-store
  // A record is named by its random id alone: its key may name a person.
  'record.read': z.strictObject({ source: z.enum(['cache', 'db']).optional(), unchanged: z.boolean().optional() }),
  'record.written': z.strictObject({ bytes: count, ciphertextHash: text.optional(), pruned: count.optional() }),
  'record.rewrapped': z.strictObject({ part: z.enum(['version', 'key']), ciphertextHash: text, keyVersion: text }),
  'record.deleted': z.strictObject({ versions: list.optional() }),
  'record.restored': z.strictObject({ versions: list }),
  'record.destroyed': z.strictObject({ versions: list, whole: z.boolean().optional(), cause: code.optional() }),
  'record.listed': z.strictObject({ count }),
  'records.batched': z.strictObject({ count, failed: count }),
  'records.exported': z.strictObject({ count }),
  'data.encrypted': data,
  'data.decrypted': data,
  'data.rewrapped': data,
  'data-key.created': z.strictObject({ count, wrappedOnly: z.boolean() }),
  // SHA-256 of the wrapped key, as it stands in the message.
  'data-key.opened': z.strictObject({ wrapped: code }),
  'mac.computed': z.strictObject({ name: code }),
  'mac.verified': z.strictObject({ name: code, valid: z.boolean() }),
  'index.computed': z.strictObject({ name: code, count }),

  // auth-manager
  'consent.cancelled': z.strictObject({ cause: code.optional() }),
  'consent.read': z.strictObject({}),
  'grant.moved': z.strictObject({ provider: text, from: text.optional() }),
  'handle.created': z.strictObject({ workload: text, scopes, audiences: list.optional() }),
  'handle.listed': z.strictObject({ count }),
  'handle.changed': z.strictObject({ scopes: scopes.optional(), state: code.optional() }),
  'handle.deleted': z.strictObject({ workload: text.optional() }),
  'session.listed': z.strictObject({ count }),
  'session.ended': z.strictObject({ cause: code, provider: text.optional(), grants: count.optional() }),
  'consent.started': z.strictObject({ provider: text, scopes, client: text.optional() }),
  'consent.completed': z.strictObject({
    provider: text,
    scopes,
    grant: text.optional(),
    offline: z.boolean().optional(),
  }),
  'grant.stored': z.strictObject({ provider: text, scopes, offline: z.boolean().optional() }),
  'grant.listed': z.strictObject({ count }),
  'grant.read': z.strictObject({}),
  'grant.used': z.strictObject({
    scopes,
    audience: text.optional(),
    tokenId: text.optional(),
    expiresAt: text.optional(),
    refreshed: z.boolean().optional(),
  }),
  'grant.refreshed': z.strictObject({ provider: text, attempt: text.optional(), rotated: z.boolean().optional() }),
  // The provider no longer knows the grant; `cause` says how that was learnt.
  'grant.reauthorization_required': z.strictObject({ provider: text, cause: code }),
  'grant.recovered': z.strictObject({ provider: text }),
  // The provider's own token for the holder of a grant token: `exchange` is the exchange's id at token-exchange.
  'grant.exchanged': z.strictObject({
    provider: text,
    scopes,
    audiences: list,
    exchange: code.optional(),
    expiresAt: text.optional(),
    refreshed: z.boolean().optional(),
  }),
  'keeping.read': z.strictObject({}),
  'keeping.changed': z.strictObject({ provider: text, paused: z.boolean() }),
  'grant.revoked': z.strictObject({ cause: code, provider: text.optional() }),
  'logout.received': z.strictObject({ provider: text, grants: count }),
  'grants.searched': z.strictObject({ count }),
  'grants.imported': z.strictObject({ provider: text, imported: count, refused: count }),
  'revocation.planned': z.strictObject({ count }),
  'revocation.started': z.strictObject({ count, job: text }),
  'provider.registered': z.strictObject({ issuer: text, client: text }),
  'provider.unregistered': z.strictObject({ issuer: text }),
  'provider.changed': z.strictObject({ issuer: text, fields: list }),
  'providers.listed': z.strictObject({ count }),

  // token-exchange
  'approval.decided': z.strictObject({ decision: z.enum(['approved', 'denied']), scopes: scopes.optional() }),
  'approval.consumed': z.strictObject({ tokenId: text.optional() }),
  'approval.expired': z.strictObject({}),
  // A token of a lent role, which two people let somebody have (ADR 63).
  'emergency.opened': z.strictObject({ scopes, tokenId: text, expiresAt: text }),
  'approval.listed': z.strictObject({ count }),
  'approval.read': z.strictObject({}),
  'policy.changed': z.strictObject({ version: text, previous: text.optional(), contentHash: text.optional() }),
  'policy.read': z.strictObject({ version: text.optional(), rule: text.optional() }),
  'tenant.read': z.strictObject({}),
  'tenant.listed': z.strictObject({ count }),
  'tenant.changed': z.strictObject({ fields: list }),
  'tenant.resumed': z.strictObject({}),
  'token.exchanged': z.strictObject({
    audience: text,
    /** All of them, where there are several. */
    audiences: list.optional(),
    scopes,
    requested: scopes.optional(),
    refused: scopes.optional(),
    subjectKind: code.optional(),
    subjectIssuer: text.optional(),
    subjectTokenId: text.optional(),
    subjectClient: text.optional(),
    tokenId: text.optional(),
    expiresAt: text.optional(),
    policyVersion: text.optional(),
    rule: text.optional(),
  }),
  'token.introspected': z.strictObject({ active: z.boolean(), tokenId: text.optional() }),
  'token.revoked': z.strictObject({ tokens: count, cause: code.optional(), tokenId: text.optional() }),
  'workload.compromised': z.strictObject({
    workload: text,
    before: text.optional(),
    tokens: count.optional(),
    cause: code.optional(),
  }),
  'workload.trusted': z.strictObject({ workload: text }),
  'workload.log_closed': z.strictObject({ workload: text, producer: z.boolean().optional() }),
  'exchange.read': z.strictObject({}),
  'approval.requested': z.strictObject({
    audience: text,
    audiences: list.optional(),
    scopes,
    expiresAt: text.optional(),
  }),
  'tenant.created': z.strictObject({}),
  'tenant.suspended': z.strictObject({ cause: code.optional() }),
  'tenant.offboarded': z.strictObject({}),
  // A destruction (R33), as each service records its part: it takes nothing of the tenant's any more; nothing of it is left.
  'tenant.denied': z.strictObject({ destruction: text }),
  'tenant.destroyed': z.strictObject({ destruction: text.optional(), rows: count, keys: count, listed: z.boolean() }),

  // key-proxy
  'account.changed': z.strictObject({ fields: list }),
  'account.locked': z.strictObject({ cause: code, until: text.optional() }),
  'account.deleted': z.strictObject({}),
  'account.listed': z.strictObject({ count }),
  'invitation.listed': z.strictObject({ count }),
  'invitation.cancelled': z.strictObject({}),
  'session.refreshed': z.strictObject({ tokenId: text.optional(), expiresAt: text.optional() }),
  'account.invited': z.strictObject({ roles: list.optional() }),
  'password.changed': z.strictObject({ method: code.optional() }),
  'factor.enrolled': z.strictObject({ kind: code }),
  'factor.removed': z.strictObject({ kind: code }),
  'provider.read': z.strictObject({ provider: code }),
  'provider.tested': z.strictObject({ provider: code, healthy: z.boolean().optional() }),
  'provider.removed': z.strictObject({ provider: code }),
  'secret.updated': z.strictObject({ provider: code, name: text.optional() }),
  'secret.restored': z.strictObject({ provider: code, name: text.optional() }),
  'secret.used': z.strictObject({ provider: code, host: text, method: code.optional(), status: count.optional() }),
  'secret-grant.listed': z.strictObject({ count }),
  'secret-grant.changed': z.strictObject({ grantee: text, verbs: list }),
  'secret-grant.removed': z.strictObject({ grantee: text }),
  'secret-use.defined': z.strictObject({ host: text, methods: list, placement: code, answer: code }),
  'secret-use.read': z.strictObject({}),
  'secret-use.removed': z.strictObject({}),
  'secret.moved': z.strictObject({ from: code, to: code, name: text.optional() }),
  'secret.copied': z.strictObject({ from: code, to: code, name: text.optional() }),
  'secret.disabled': z.strictObject({ provider: code, name: text.optional() }),
  'secret.enabled': z.strictObject({ provider: code, name: text.optional() }),
  'secret.destroyed': z.strictObject({ provider: code, name: text.optional() }),
  'move.planned': z.strictObject({ from: code, to: code, count }),
  'move.started': z.strictObject({ from: code, to: code, mode: code, job: text }),
  'move.read': z.strictObject({ from: code, to: code }),
  'secret.rotated': z.strictObject({ provider: code, name: text.optional() }),
  'secret.compared': z.strictObject({ provider: code, same: z.boolean() }),
  'account.created': z.strictObject({ method: code.optional() }),
  'login.started': z.strictObject({ method: code }),
  'login.succeeded': z.strictObject({ method: code, tokenId: text.optional(), expiresAt: text.optional() }),
  'login.failed': z.strictObject({ method: code, remaining: count.optional() }),
  'provider.configured': z.strictObject({ provider: code, kind: code.optional() }),
  'secret.created': z.strictObject({ provider: code, name: text.optional() }),
  'secret.read': z.strictObject({ provider: code, name: text.optional() }),
  'secret.deleted': z.strictObject({ provider: code, name: text.optional() }),
  'rotation.due': z.strictObject({ provider: code, due: text.optional() }),
  'secrets.listed': z.strictObject({ count, provider: code.optional() }),

  // audit-sink
  'audit.read': z.strictObject({ count, from: text.optional(), to: text.optional() }),
  'receipt.read': z.strictObject({ index: count, treeSize: count }),
  'log.proved': z.strictObject({
    proof: z.enum(['inclusion', 'consistency']),
    treeSize: count,
    from: count.optional(),
  }),
  'log.read': z.strictObject({
    part: z.enum(['tile', 'entries', 'producers']),
    level: count.optional(),
    index: count.optional(),
  }),
  'log.key_rotated': z.strictObject({ generation: count, keyId: code }),
  'evidence.recorded': z.strictObject({ sha256: code, checks: count, satisfied: count }),
  // From here on nothing of the epoch, nor under a certificate that began before, is taken (R26). `index`: its last entry.
  'producer.closed': z.strictObject({ epoch: count, seq: count, index: count.optional(), certificatesBefore: code }),
  'log.restored': z.strictObject({ from: count, to: count, lost: count }),
  'audit.counted': z.strictObject({ count }),
  'audit.followed': z.strictObject({ from: count }),
  'audit.exported': z.strictObject({ format: code, from: count, to: count }),
  'subject.erased': z.strictObject({ count, backupsUntil: text.optional() }),
  'alarm.raised': z.strictObject({ kind: code, about: text.optional(), count: count.optional() }),

  // audit-sink: what an identity provider reported of itself. `type`, `operation` and `eventId` are the provider's own.
  'identity.user_event': z.strictObject({
    realm: text,
    type: code,
    eventId: code,
    username: text.optional(),
    session: text.optional(),
    sessionSeconds: count.optional(),
    authMethod: code.optional(),
    mfaMethod: code.optional(),
    grantType: text.optional(),
    credentialType: code.optional(),
    identityProvider: text.optional(),
    tokenId: text.optional(),
    scopes: scopes.optional(),
  }),
  'identity.admin_event': z.strictObject({ realm: text, operation: code, resourceType: code, eventId: code }),
  'identity.events_received': z.strictObject({ added: count, known: count }),
  'webhook.created': z.strictObject({ types: list, host: text, signature: code }),
  'webhook.deleted': z.strictObject({}),
  'webhook.resumed': z.strictObject({}),
  'webhook.secret_rotated': z.strictObject({ previousUntil: text }),
  'webhook.stopped': z.strictObject({ cause: code }),
  'webhook.tested': z.strictObject({ delivery: text.optional() }),
  'webhook.redelivered': z.strictObject({ delivery: text }),
  'webhooks.listed': z.strictObject({ count }),
  'webhook.deliveries_listed': z.strictObject({ count }),

  // every service
  'key.created': z.strictObject({ purpose: code, keyId: text.optional() }),
  'key.disabled': z.strictObject({ purpose: code, keyId: text.optional(), cause: code.optional() }),
  'key.enabled': z.strictObject({ purpose: code, keyId: text.optional() }),
  'key.listed': z.strictObject({ count }),
  'keys.rewrapped': z.strictObject({ purpose: code, count, from: text.optional(), to: text.optional() }),
  'certificate.rotated': z.strictObject({ thumbprint: text, notAfter: text.optional() }),
  'key.rotated': z.strictObject({ purpose: code, keyId: text.optional() }),
  'key.changed': z.strictObject({
    purpose: code,
    keyId: text,
    version: count.optional(),
    state: code.optional(),
    minimumDecryptVersion: count.optional(),
    rotationDays: count.optional(),
  }),
  'key.certified': z.strictObject({ purpose: code, keyId: text, versions: list, certificateHash: text }),
  'key.destroyed': z.strictObject({
    purpose: code,
    keyId: text.optional(),
    versions: list.optional(),
    whole: z.boolean().optional(),
    completeAfter: text.optional(),
  }),
  'destruction.read': z.strictObject({}),
  'destruction.requested': z.strictObject({}),
  'destruction.approved': z.strictObject({ notBefore: text }),
  'destruction.cancelled': z.strictObject({}),
  'destruction.begun': z.strictObject({ keys: list }),
  'destruction.completed': z.strictObject({ keys: list, services: list, completeAfter: text }),
  'rewrap.started': z.strictObject({ purpose: code, keyId: text, job: text }),
  'key.moved': z.strictObject({ purpose: code, keyId: text, from: text, to: text }),
  'job.read': z.strictObject({ kind: code.optional() }),
  'job.cancelled': z.strictObject({ kind: code.optional() }),
  'job.ended': z.strictObject({ kind: code, state: code }),
  'epoch.opened': z.strictObject({ epoch: count, cause: code }),
  'request.refused': z.strictObject({
    route: text,
    status: count,
    count: count.optional(),
    method: code.optional(),
    from: text.optional(),
    action: code.optional(),
    scopes: scopes.optional(),
    fields: list.optional(),
  }),
} as const;

/** The name of something that can be recorded. */
export type Action = keyof typeof actions;

/** The details that an event of this action carries when it succeeded. */
export type DetailsOf<A extends Action> = z.output<(typeof actions)[A]>;

/** Every action, in the order of the table. */
export const actionNames = Object.keys(actions) as Action[];

const LOOKS = /\.(read|listed|searched|proved|introspected|exported|tested|compared)$|_listed$/;

/** Whether an action changes something, rather than looks at it. */
export const isMutation = (action: string): boolean => !LOOKS.test(action) && action !== 'request.refused';
