import { route } from '@postern/http';
import { queryIn } from '@postern/postgres';
import { problem } from '@postern/runtime';
import { z } from 'zod';
import { followedKey, OPERATOR, type ReadLog } from './deps.ts';

/**
 * Makes the log's next key (R27), endorsed by the one before it. Every replica signs with it from its next signature on, and who
 * kept the old line follows by its word: that is no remedy for a key that was stolen, whose word is worth nothing.
 */
export const rotateKey = ({ postgres, key }: ReadLog) =>
  route({
    method: 'POST',
    path: '/v1/log/keys/rotate',
    listener: 'api',
    summary: "Make the log's next key, endorsed by the one before it",
    ...OPERATOR,
    audit: 'log.key_rotated',
    body: z.strictObject({}),
    answers: { 200: followedKey },
    problems: ['key_rotated_meanwhile'],
    async handle(_, audit) {
      const released = await postgres.db.transaction().execute(async (tx) => {
        const made = await key.rotate(queryIn(tx));
        if (!made) throw problem('key_rotated_meanwhile');
        const { generation, verifier } = made;
        // The id of a verifier line: origin+id+key.
        const keyId = verifier.split('+')[1] ?? '';
        return audit.within(tx, { details: { generation, keyId } }, { status: 200, body: made });
      });
      await key.refresh();
      return released;
    },
  });
