import { request } from 'node:https';
import { type JSONWebKeySet } from 'jose';

/**
 * The keys of an issuer, as a cloud that trusts it finds them: by the document that OpenID Connect Discovery 1.0 section 4 names.
 * @param ca PEM of the authority that signed the issuer's certificate.
 * @throws Error where one of both documents cannot be read
 */
export async function publishedKeys(issuer: string, ca: string): Promise<JSONWebKeySet> {
  const found = (await json(`${issuer}/.well-known/openid-configuration`, ca)) as { issuer: string; jwks_uri: string };
  if (found.issuer !== issuer) throw new Error('the document is of another issuer');
  return (await json(found.jwks_uri, ca)) as JSONWebKeySet;
}

function json(url: string, ca: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    request(url, { ca, agent: false }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('end', () => {
        try {
          resolve(JSON.parse(Buffer.concat(chunks).toString()));
        } catch (error) {
          reject(error as Error);
        }
      });
    })
      .on('error', reject)
      .end();
  });
}
