import type { IncomingMessage } from 'node:http';
import { TLSSocket } from 'node:tls';
import { peerOf, workloadOf, type WorkloadTable } from '@postern/mtls';

/** What a connection shows, found out once and kept as long as it lives. */
export type Connection = {
  /** Milliseconds of the monotonic clock. */
  readonly openedAt: number;
  readonly address: string;
  readonly workload: string | null;
  readonly thumbprint: string | null;
  /** The certificate chains to our CA, but R4's shape or table refuses it: a stable reason. */
  readonly refused: string | null;
};

const connections = new WeakMap<object, Connection>();

/** The connection of a request, by the operator's table of workloads (R4). */
export function connectionOf(request: IncomingMessage, workloads: WorkloadTable): Connection {
  const { socket } = request;
  let connection = connections.get(socket);
  if (!connection) {
    connection = {
      openedAt: performance.now(),
      address: socket.remoteAddress ?? 'unknown',
      ...identityOf(socket, workloads),
    };
    connections.set(socket, connection);
  }
  return connection;
}

function identityOf(socket: object, table: WorkloadTable): Pick<Connection, 'workload' | 'thumbprint' | 'refused'> {
  const nobody = { workload: null, thumbprint: null, refused: null };
  if (!(socket instanceof TLSSocket)) return nobody;
  try {
    const peer = peerOf(socket);
    if (!peer) return nobody;
    return { workload: workloadOf(peer, table), thumbprint: peer.thumbprint, refused: null };
  } catch (error) {
    const reason = (error as { reason?: unknown }).reason;
    return { ...nobody, refused: typeof reason === 'string' ? reason : 'certificate_refused' };
  }
}
