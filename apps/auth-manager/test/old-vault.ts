import { createCipheriv, createHash, randomBytes } from 'node:crypto';

/** A table of the old store: a key, and rows sealed with it as that store did. */
export function oldVault() {
  const key = randomBytes(32);
  return {
    key: key.toString('hex'),
    row(id: number, sub: string, token: string, over: object = {}) {
      const iv = randomBytes(16);
      const cipher = createCipheriv('aes-256-cbc', key, iv);
      const sealed = Buffer.concat([cipher.update(token), cipher.final()]);
      return {
        id: String(id),
        user_id: sub,
        token_type: 'OFFLINE',
        encrypted_token: sealed.toString('hex'),
        iv: iv.toString('hex'),
        token_hash: createHash('sha256').update(token).digest('hex'),
        attributes: {},
        session_state_id: null,
        created_at: '2025-01-01T00:00:00Z',
        ...over,
      };
    },
  };
}
