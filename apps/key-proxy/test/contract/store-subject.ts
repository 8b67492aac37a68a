import { randomUUID } from 'node:crypto';
import { createPostern } from '@postern/client';
import { closeInReverse, Secret } from '@postern/runtime';
import { passOnTo, startHttpsFront } from '@postern/testing/https-front';
import { Agent } from 'undici';
import { cryptoStoreProvider } from '../../src/providers/crypto-store.ts';
import { openWorld } from '../world.ts';
import { type Subject, TIMEOUT_MS } from './subjects.ts';

/** Every call exchanges anew, so that what token-exchange does wrong is met by each. */
const NEVER_KEPT_SECONDS = 86_400;

/**
 * crypto-store and token-exchange as they are run, each behind a front that passes on over key-proxy's certificate: what is
 * called with is alice's token for key-proxy, exchanged for one of crypto-store (R5).
 */
export async function openStoreSubject(): Promise<Subject> {
  const closing = closeInReverse();
  const world = closing.after(await openWorld({ others: true }));
  const { cert, key, ca, thumbprint } = await world.identity('key-proxy');
  const over = new Agent({ connect: { cert, key, ca } });
  closing.add(() => over.close());
  const frontOf = async (service: 'store' | 'exchange') =>
    closing.after(await startHttpsFront(passOnTo(world[service]?.urls.api ?? '', over)));
  const [store, exchange] = [await frontOf('store'), await frontOf('exchange')];
  const postern = closing.after(
    createPostern({
      tls: () => ({ cert, key, ca }),
      urls: { cryptoStore: store.url, tokenExchange: exchange.url },
      timeoutMs: TIMEOUT_MS,
      renewBeforeSeconds: NEVER_KEPT_SECONDS,
    }),
  );
  const tenant = `kp_${randomUUID().replaceAll('-', '')}`;
  const scopes = ['secrets:read', 'secrets:write'];
  const tokenFor = async (lifetimeSeconds: number) =>
    new Secret(await world.token((await world.caller('job')).thumbprint, scopes, { tenant, lifetimeSeconds }));
  const expired = { audience: 'crypto-store', scopes: ['records:read'], tenant, lifetimeSeconds: -60 };
  const provider = cryptoStoreProvider(postern.records);
  return {
    kind: 'crypto-store',
    provider,
    by: { subjectToken: await tokenFor(3_600) },
    ways: [store, exchange],
    withBadCredentials: async () => [
      // What the caller came with is refused as it would be here; a token that key-proxy holds itself is its own matter.
      { provider, by: { subjectToken: await tokenFor(-60) }, code: 'invalid_token' },
      {
        provider,
        by: { token: new Secret(await world.token(thumbprint, expired.scopes, expired)) },
        code: 'provider_credentials_refused',
      },
    ],
    close: closing.close,
  };
}
