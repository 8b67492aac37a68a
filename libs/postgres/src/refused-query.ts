const SOCKET = new Set(['ECONNREFUSED', 'ECONNRESET', 'ETIMEDOUT', 'EPIPE', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH']);
/** SQLSTATE classes: connection exception, insufficient resources, operator intervention (shutdown, cancelled by timeout). */
const SQLSTATE = /^(08|53|57)[0-9A-Z]{3}$/;
/** pg's own errors carry no code. */
const MESSAGE =
  /^(Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|Query read timeout)/;

/**
 * Whether a failed query means that Postgres is away, going down or overloaded, so that trying again later may help; as
 * opposed to a statement that it refused.
 */
export function isPostgresAway(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false;
  const { code, message } = error as { code?: unknown; message?: unknown };
  if (typeof code === 'string') return SOCKET.has(code) || SQLSTATE.test(code);
  return typeof message === 'string' && MESSAGE.test(message);
}

/**
 * Whether Postgres ended the transaction for another's sake: a deadlock, a serialization failure, a lock that was not to be had in
 * time (SQLSTATE class 40, 55P03). Nothing of it stands, and the same request may succeed at once.
 */
export const isRolledBack = (error: unknown): boolean => /^(40[0-9A-Z]{3}|55P03)$/.test(sqlStateOf(error));

/** Whether Postgres refused a text for a NUL in it, which no `text` and no `jsonb` holds (SQLSTATE 22021, 22P05). */
export const isUnstorableText = (error: unknown): boolean => /^(22021|22P05)$/.test(sqlStateOf(error));

function sqlStateOf(error: unknown): string {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === 'string' ? code : '';
}
