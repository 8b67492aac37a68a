import { Agent, request } from 'undici';

type Options = { url: string; ca: string; username: string; password: string };
type Named = { id: string };

/** Keycloak refused an administrative request; `message` holds its own words. */
export class KeycloakRefused extends Error {
  override name = 'KeycloakRefused';
}

/** Opens the admin interface of a Keycloak server, as the bootstrap administrator. */
export function openAdministration({ url, ca, username, password }: Options) {
  const dispatcher = new Agent({ connect: { ca } });
  let token: { value: string; expiresAt: number } | undefined;

  const accessToken = async (): Promise<string> => {
    if (token && token.expiresAt > Date.now()) return token.value;
    const answer = await request(`${url}/realms/master/protocol/openid-connect/token`, {
      dispatcher,
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ grant_type: 'password', client_id: 'admin-cli', username, password }).toString(),
    });
    const body = (await answer.body.json()) as { access_token?: string; expires_in?: number; error?: string };
    if (!body.access_token) throw new KeycloakRefused(`login of the administrator: ${body.error}`);
    token = { value: body.access_token, expiresAt: Date.now() + ((body.expires_in ?? 60) - 10) * 1000 };
    return token.value;
  };

  const call = async <T>(
    method: 'GET' | 'POST' | 'DELETE',
    path: string,
    body?: unknown,
    absent?: 'ok',
  ): Promise<T> => {
    const answer = await request(`${url}/admin/realms${path}`, {
      dispatcher,
      method,
      headers: { authorization: `Bearer ${await accessToken()}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.body.text();
    if (answer.statusCode >= 400 && !(absent && answer.statusCode === 404)) {
      throw new KeycloakRefused(`${method} ${path}: ${answer.statusCode} ${text}`);
    }
    return (text ? JSON.parse(text) : undefined) as T;
  };

  const userId = async (realm: string, name: string): Promise<string> => {
    const [user] = await call<Named[]>('GET', `/${realm}/users?exact=true&username=${encodeURIComponent(name)}`);
    if (!user) throw new RangeError(`no such user: ${name}`);
    return user.id;
  };

  return {
    /** Creates a realm, after deleting one of that name. Roles, clients, users and keys go with it. */
    replaceRealm: async (realm: { realm: string } & Record<string, unknown>): Promise<void> => {
      await call('DELETE', `/${realm.realm}`, undefined, 'ok');
      await call('POST', '', realm);
      // The administrator's token names realms by role; a new realm has new roles.
      token = undefined;
    },
    events: (realm: string) => call<{ id: string; type: string; time: number }[]>('GET', `/${realm}/events?max=200`),
    logoutUser: async (realm: string, name: string): Promise<void> => {
      await call('POST', `/${realm}/users/${await userId(realm, name)}/logout`);
    },
    withdrawConsent: async (realm: string, name: string, clientId: string): Promise<void> => {
      await call('DELETE', `/${realm}/users/${await userId(realm, name)}/consents/${clientId}`);
    },
    close: () => dispatcher.close(),
  };
}
