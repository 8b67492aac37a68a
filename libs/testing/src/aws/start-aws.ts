import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo } from 'node:net';
import { randomUUID } from 'node:crypto';
import { IAMClient } from '@aws-sdk/client-iam';
import { DescribeKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { developmentCa } from '../authority/development-ca.ts';
import { asksOf, namesItsKey } from './kms-request.ts';
import { startMoto } from './moto.ts';
import { mayAsk } from './role-permissions.ts';
import { assumable, StsRefusal } from './web-identity.ts';

export { createServiceRole } from './service-role.ts';

export type Aws = {
  endpoint: string;
  region: string;
  /** Whoever has these may do everything: the operator who sets the account up. */
  operator: { accessKeyId: string; secretAccessKey: string };
  /** How often each operation was asked for since the last `forgetCalls`. */
  calls(): Record<string, number>;
  forgetCalls(): void;
  /** The next so many requests of KMS are answered ThrottlingException. */
  throttle(requests: number): void;
  /** While true every connection is cut. */
  cut(away: boolean): void;
  /** Takes every session from a role, and gives it no new one, until restored. */
  revoke(role: string): void;
  restore(role: string): void;
  /** How long sessions given from now on last, whatever was asked for. */
  sessionsLast(seconds: number): void;
  close(): Promise<void>;
};

type Session = { role: string; expiresAt: number; token: string };

const REGION = 'eu-west-1';
const KMS_TARGET = 'TrentService.';

/**
 * AWS as an account of its own: moto, behind a front that does what moto leaves out. Web identity tokens are verified
 * and trust policies are kept (`web-identity.ts`); sessions expire; a session does with a key what its role's policies
 * allow (`role-permissions.ts`); keys that are disabled or being deleted refuse; and it fails as a test wants it to.
 * Signatures of requests are not checked: a session is known by its key id and token.
 */
export async function startAws(): Promise<Aws> {
  const moto = await startMoto();
  const operator = { accessKeyId: `AKIA${randomUUID().slice(0, 16)}`, secretAccessKey: randomUUID() };
  const direct = { region: REGION, endpoint: moto.endpoint, credentials: operator };
  const [iam, kms] = [new IAMClient(direct), new KMSClient(direct)];
  const ca = await developmentCa().certificate();
  const sessions = new Map<string, Session>();
  const revoked = new Set<string>();
  let counts: Record<string, number> = {};
  let toThrottle = 0;
  let away = false;
  let sessionSeconds: number | undefined;

  const assumeRole = async (form: URLSearchParams, forward: () => Promise<Answer>): Promise<Answer> => {
    const roleArn = form.get('RoleArn') ?? '';
    const role = roleArn.split('/').at(-1) ?? '';
    try {
      await assumable(iam, { roleArn, token: form.get('WebIdentityToken') ?? '', ca });
      if (revoked.has(role))
        throw new StsRefusal('AccessDenied', 'Not authorized to perform sts:AssumeRoleWithWebIdentity');
    } catch (error) {
      if (error instanceof StsRefusal) return xmlError(error.code, error.message);
      throw error;
    }
    const answer = await forward();
    const xml = answer.body.toString();
    const field = (name: string) => new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1] ?? '';
    const expiresAt =
      sessionSeconds === undefined ? Date.parse(field('Expiration')) : Date.now() + sessionSeconds * 1_000;
    sessions.set(field('AccessKeyId'), { role, expiresAt, token: field('SessionToken') });
    const body = xml.replace(/<Expiration>[^<]*/, `<Expiration>${new Date(expiresAt).toISOString()}`);
    return { ...answer, body: Buffer.from(body) };
  };

  const kmsRefusal = async (request: IncomingMessage, operation: string, text: string): Promise<Answer | null> => {
    if (toThrottle > 0) {
      toThrottle -= 1;
      return jsonError('ThrottlingException', 'You have exceeded the rate at which you may call KMS');
    }
    const keyId = /Credential=([^/]+)/.exec(request.headers.authorization ?? '')?.[1] ?? '';
    const asks = asksOf(operation, text);
    if (keyId !== operator.accessKeyId) {
      const session = sessions.get(keyId);
      if (session === undefined || session.token !== request.headers['x-amz-security-token']) {
        return jsonError('UnrecognizedClientException', 'The security token included in the request is invalid');
      }
      if (session.expiresAt <= Date.now()) {
        return jsonError('ExpiredTokenException', 'The security token included in the request is expired');
      }
      const denied = jsonError('AccessDeniedException', 'User is not authorized to perform this');
      if (revoked.has(session.role)) return denied;
      for (const ask of asks) if (!(await mayAsk(iam, session.role, ask))) return denied;
    }
    if (operation === 'DescribeKey' || !USES_A_KEY.has(operation)) return null;
    for (const { keyArn } of asks) {
      const { KeyMetadata } = await kms
        .send(new DescribeKeyCommand({ KeyId: keyArn }))
        .catch(() => ({ KeyMetadata: undefined }));
      if (KeyMetadata?.KeyState === 'Disabled') return jsonError('DisabledException', 'The key is disabled');
      if (KeyMetadata?.KeyState === 'PendingDeletion')
        return jsonError('KMSInvalidStateException', 'The key is pending deletion');
    }
    return namesItsKey(operation, text)
      ? null
      : jsonError('IncorrectKeyException', 'The key is not the one of the ciphertext');
  };

  const answerTo = async (request: IncomingMessage, body: Buffer): Promise<Answer> => {
    const forward = () => forwarded(moto.endpoint, request, body);
    const target = request.headers['x-amz-target'];
    if (typeof target === 'string' && target.startsWith(KMS_TARGET)) {
      const operation = target.slice(KMS_TARGET.length);
      counts[operation] = (counts[operation] ?? 0) + 1;
      return (await kmsRefusal(request, operation, body.toString())) ?? forward();
    }
    const form = new URLSearchParams(body.toString());
    const action = form.get('Action') ?? '';
    counts[action] = (counts[action] ?? 0) + 1;
    if (action === 'AssumeRoleWithWebIdentity') return assumeRole(form, forward);
    const keyId = /Credential=([^/]+)/.exec(request.headers.authorization ?? '')?.[1];
    if (keyId !== operator.accessKeyId) return xmlError('AccessDenied', 'Only the operator may do this');
    return forward();
  };

  const server = createServer((request, response) => {
    if (away) return void request.socket.destroy();
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      answerTo(request, Buffer.concat(chunks)).then(
        (answer) => send(response, answer),
        (error: Error) => send(response, { status: 500, type: 'text/plain', body: Buffer.from(error.message) }),
      );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    region: REGION,
    operator,
    calls: () => ({ ...counts }),
    forgetCalls: () => void (counts = {}),
    throttle: (requests) => void (toThrottle = requests),
    cut: (now) => void (away = now),
    revoke: (role) => void revoked.add(role),
    restore: (role) => void revoked.delete(role),
    sessionsLast: (seconds) => void (sessionSeconds = seconds),
    async close() {
      iam.destroy();
      kms.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await moto.close();
    },
  };
}

/** Operations that a disabled key refuses (KMS Developer Guide, "Key states"). */
const USES_A_KEY = new Set(['Decrypt', 'Encrypt', 'GenerateDataKeyWithoutPlaintext', 'ReEncrypt']);

type Answer = { status: number; type: string; body: Buffer };

async function forwarded(endpoint: string, { method, url, headers }: IncomingMessage, body: Buffer): Promise<Answer> {
  const kept = Object.entries(headers).filter(
    ([name]) => !['host', 'connection', 'content-length', 'expect'].includes(name),
  );
  const answer = await fetch(new URL(url ?? '/', endpoint), {
    method: method ?? 'POST',
    headers: Object.fromEntries(kept) as Record<string, string>,
    ...(body.length === 0 ? {} : { body: new Uint8Array(body) }),
  });
  const type = answer.headers.get('content-type') ?? 'application/octet-stream';
  return { status: answer.status, type, body: Buffer.from(await answer.arrayBuffer()) };
}

function send(response: ServerResponse, { status, type, body }: Answer): void {
  response.writeHead(status, { 'content-type': type, 'content-length': body.length }).end(body);
}

const jsonError = (code: string, message: string): Answer => ({
  status: 400,
  type: 'application/x-amz-json-1.1',
  body: Buffer.from(JSON.stringify({ __type: code, message })),
});

const xmlError = (code: string, message: string): Answer => ({
  status: code === 'AccessDenied' ? 403 : 400,
  type: 'text/xml',
  body: Buffer.from(
    `<ErrorResponse><Error><Type>Sender</Type><Code>${code}</Code><Message>${message}</Message></Error><RequestId>x</RequestId></ErrorResponse>`,
  ),
});
