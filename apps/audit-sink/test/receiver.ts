import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type { World } from './world.ts';

export type Received = { path: string; headers: Record<string, string>; body: string };
type Answer = { status: number; headers?: Record<string, string>; body?: string };

/** A server somewhere else, over TLS: what it is sent, and what it answers. */
export async function openReceiver(
  world: World,
  answer: (received: Received) => Answer | 'hang' | Promise<Answer | 'hang'> = () => ({ status: 200 }),
) {
  const { cert, key, ca, paths } = await world.server.authority.issue('identity-provider');
  const received: Received[] = [];
  const behaviour = { answer };
  const server = createServer({ cert, key }, async (request, response) => {
    const body = await text(request).catch(() => null);
    if (body === null) return;
    const one = { path: request.url ?? '', headers: request.headers as Record<string, string>, body };
    received.push(one);
    const answered = await behaviour.answer(one);
    if (answered === 'hang') return;
    response.writeHead(answered.status, answered.headers).end(answered.body ?? '');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `https://127.0.0.1:${port}`,
    host: `127.0.0.1:${port}`,
    ca,
    caPath: paths.ca,
    received,
    /** Answers otherwise from now on. */
    answers: (next: typeof answer) => void (behaviour.answer = next),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export type Receiver = Awaited<ReturnType<typeof openReceiver>>;
