import { once } from 'node:events';
import { request } from 'node:https';
import { connect, type ConnectionOptions } from 'node:tls';
import type { Credential } from '@postern/testing';
import pg from 'pg';

/** Tries to get one answer out of a server. Rejects where the connection is refused. */
export type Attempt = (port: number, credential: Credential, ca: string) => Promise<string>;

function optionsOf({ leaf, tls }: Credential, ca: string): ConnectionOptions {
  return {
    ca,
    servername: 'localhost',
    ...(leaf && { cert: leaf.cert, key: leaf.key }),
    // Our own side must be able to speak the old versions, or it would be us who refuse.
    ...(tls && { ...tls, ciphers: 'DEFAULT@SECLEVEL=0' }),
  };
}

export const overHttp: Attempt = async (port, credential, ca) => {
  const call = request({ host: '127.0.0.1', port, agent: false, ...optionsOf(credential, ca) });
  call.end();
  const [response] = (await once(call, 'response')) as [AsyncIterable<Buffer>];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
};

export const toPostgres: Attempt = async (port, credential, ca) => {
  const client = new pg.Client({
    host: '127.0.0.1',
    port,
    user: 'crypto_store',
    database: 'template1',
    ssl: optionsOf(credential, ca),
    connectionTimeoutMillis: 5_000,
  });
  client.on('error', () => {});
  try {
    await client.connect();
    const { rows } = await client.query<{ answer: string }>(`select 'hello' as answer`);
    return rows[0]!.answer;
  } finally {
    await client.end().catch(() => {});
  }
};

/** Redis answers a stranger with NOAUTH: to get even that, the handshake must have been accepted. */
export const toRedis: Attempt = async (port, credential, ca) => {
  const socket = connect({ host: '127.0.0.1', port, ...optionsOf(credential, ca) });
  try {
    await once(socket, 'secureConnect');
    socket.write('PING\r\n');
    const [answer] = (await Promise.race([once(socket, 'data'), once(socket, 'close').then(refuse)])) as [Buffer];
    return answer.toString('utf8');
  } finally {
    socket.destroy();
  }
};

function refuse(): never {
  throw new Error('closed without an answer');
}
