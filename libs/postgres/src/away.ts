const SOCKET = new Set(['ECONNREFUSED', 'ECONNRESET', 'ETIMEDOUT', 'EPIPE', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH']);
/** SQLSTATE classes: connection exception, insufficient resources, operator intervention (shutdown, cancelled by timeout). */
const SQLSTATE = /^(08|53|57)[0-9A-Z]{3}$/;
/** pg's own errors carry no code. */
const MESSAGE =
  /^(Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error)/;

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
