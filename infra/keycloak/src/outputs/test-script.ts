import { type PosternDocument } from '../document/postern-document.ts';
import { type ResolvedClient } from '../document/resolve-client.ts';
import { type ResolvedRealm } from '../document/resolve-realm.ts';
import { endpointsOf, issuerOf, NothingToGenerate, type OutputFile } from './output.ts';
import { shellWord } from './quote.ts';

const firstWithLogin = (document: PosternDocument): { realm: ResolvedRealm; client: ResolvedClient } => {
  for (const realm of document.realms) {
    const client = realm.clients.find(({ grants }) => grants.includes('code'));
    if (client) return { realm, client };
  }
  throw new NothingToGenerate('no client of this document has logins');
};

/**
 * `scripts/test-oauth2-flow.sh` (section 6.1, step 5): reads the discovery document, pushes an authorization request with
 * PKCE, prints where to log in, and exchanges the code that is pasted back. Needs curl and openssl.
 */
export function testScriptFiles(document: PosternDocument): OutputFile[] {
  const { realm, client } = firstWithLogin(document);
  const {
    issuerUrl,
    pushedAuthorizationRequestEndpoint: par,
    authorizationEndpoint,
    tokenEndpoint,
  } = endpointsOf(issuerOf(document, realm.name));
  const mutual = client.authentication === 'certificate';
  const text = `#!/bin/sh
# Generated from postern.toml: the login of one client, step by step.
set -eu
ISSUER=${shellWord(issuerUrl)}
CLIENT_ID=${shellWord(client.clientId)}
REDIRECT_URI=${shellWord(client.table.redirect_uris[0] ?? '')}
PAR=${shellWord(par)}
AUTHORIZE=${shellWord(authorizationEndpoint)}
TOKEN=${shellWord(tokenEndpoint)}
${mutual ? ': "${CLIENT_CERT:?the client certificate (PEM)}" "${CLIENT_KEY:?its key (PEM)}"\nset -- --cert "$CLIENT_CERT" --key "$CLIENT_KEY"' : 'set --'}
[ -z "\${CA_FILE:-}" ] || set -- "$@" --cacert "$CA_FILE"

found=$(curl -fsS "$@" "$ISSUER/.well-known/openid-configuration")
case $found in *"\\"issuer\\":\\"$ISSUER\\""*) echo "discovery: $ISSUER" ;; *) echo 'the issuer is another one' >&2; exit 1 ;; esac

verifier=$(openssl rand -base64 48 | tr -d '=+/\\n' | cut -c1-64)
challenge=$(printf %s "$verifier" | openssl dgst -sha256 -binary | openssl base64 | tr '+/' '-_' | tr -d '=\\n')
answer=$(curl -fsS "$@" "$PAR" --data-urlencode "client_id=$CLIENT_ID" --data-urlencode "redirect_uri=$REDIRECT_URI" \\
  -d response_type=code -d scope=openid -d state=test -d "code_challenge=$challenge" -d code_challenge_method=S256)
request_uri=$(printf %s "$answer" | sed -n 's/.*"request_uri":"\\([^"]*\\)".*/\\1/p')
[ -n "$request_uri" ] || { echo 'no request_uri' >&2; exit 1; }
echo "pushed: $request_uri"
echo "log in at: $AUTHORIZE?client_id=$CLIENT_ID&request_uri=$request_uri"
printf 'code of the address you came back to: '
read -r code
curl -fsS "$@" "$TOKEN" --data-urlencode "client_id=$CLIENT_ID" --data-urlencode "redirect_uri=$REDIRECT_URI" \\
  -d grant_type=authorization_code --data-urlencode "code=$code" -d "code_verifier=$verifier"
echo
`;
  return [{ path: 'scripts/test-oauth2-flow.sh', text, executable: true }];
}
