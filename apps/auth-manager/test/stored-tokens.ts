import type { Caller } from './caller.ts';
import { HANDLE, SCOPES } from './consents.ts';
import { ownLogin } from './own-login.ts';
import { openWorld } from './world.ts';

export type StoredTokens = Awaited<ReturnType<typeof openStoredTokens>>;
type Stored = { refresh_token?: string; username?: string; at?: number; extra?: object };

/** Two replicas, and refresh tokens of our own client that people store there. */
export async function openStoredTokens() {
  const world = await openWorld();
  const replicas = [await world.replica(), await world.replica({ POSTERN_PUBLIC_PORT: '0' })] as const;
  const [portal, job]: Caller[] = await Promise.all([world.caller('portal'), world.caller('job')]);
  return {
    world,
    replicas,
    portal: portal!,
    job: job!,
    async store({ refresh_token, username = 'alice', at = 0, extra = {} }: Stored) {
      const token = await portal!.tokenFor(username, ['grants:write']);
      const body = { refresh_token, scopes: SCOPES, handle: HANDLE, ...extra };
      return portal!.send(`${replicas[at % 2]!.api}/v1/grants`, { method: 'POST', token, body });
    },
    tokenOf: async (options?: Parameters<typeof ownLogin>[1]) =>
      (await ownLogin(world, options)).refreshToken?.reveal() ?? '',
  };
}
