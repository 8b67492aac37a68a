/** What identifies the caller to Postern: a leaf certificate (or chain), its key, and the CAs to trust; all PEM. */
export type TlsIdentity = { cert: string; key: string; ca: string };

/** Origins of the services' api listeners, as `https://crypto-store.example:8443`. Only those called are needed. */
export type ServiceUrls = {
  tokenExchange?: string;
  cryptoStore?: string;
  authManager?: string;
  keyProxy?: string;
  auditSink?: string;
};

export type PosternOptions = {
  /**
   * The identity to use now. It is asked at each call, so that a rotated certificate is used at once; it should answer
   * from memory. Tokens bound to an earlier certificate keep using that one until they expire (R12).
   */
  tls: () => TlsIdentity;
  urls: ServiceUrls;
  /** Longest wait for one answer, in milliseconds; 10,000 unless given. */
  timeoutMs?: number;
  /** A token is renewed when less than this is left of its life, in seconds; 30 unless given. */
  renewBeforeSeconds?: number;
  /** Connections kept per peer; 16 unless given. */
  connections?: number;
  /**
   * Data keys for `localEnvelope`: how long they stay in memory (`ttlMs`, five minutes unless given, 0 for never) and how
   * many (`most`, 1,000 unless given).
   */
  dataKeys?: { ttlMs?: number; most?: number };
  /** The W3C `traceparent` of the work under way, asked at each call; calls then belong to the caller's trace. */
  traceparent?: () => string | undefined;
  now?: () => Date;
};

export type CallOptions = {
  signal?: AbortSignal;
  /** Longest wait for the answer, in milliseconds, where it differs from the client's own. */
  timeoutMs?: number;
};

/**
 * On whose behalf a call is made: a token already minted for that audience, or a subject token that is exchanged for
 * one (with the operation's scope, cached).
 */
export type Authority = { token: string } | { subjectToken: string; subjectTokenType?: string };

export type CallAs = Authority & CallOptions;

/** The token's audience is the service's own name. */
export type Audience = 'crypto-store' | 'auth-manager' | 'key-proxy' | 'audit-sink' | 'token-exchange';
