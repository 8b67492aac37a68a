import { endpointsOf, postForm, type RealmClient, tokenOf } from './discovery.ts';

/** The realm's token of a workload: client credentials over its certificate (RFC 6749 section 4.4, RFC 8705). */
export async function workloadToken(realm: RealmClient): Promise<string> {
  const { token } = await endpointsOf(realm);
  return tokenOf(await postForm(realm, token, { grant_type: 'client_credentials', client_id: realm.clientId }));
}
