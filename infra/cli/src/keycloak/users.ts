import { z } from 'zod';
import { CommandFailed, exitCodes } from '../outcome.ts';

const line = z.string().regex(/^[^\u0000-\u001f\u007f<>]{1,255}$/u);
const user = z.strictObject({
  username: z.string().regex(/^[^\s<>"'&/\\]{1,255}$/u),
  email: z.email().max(255).optional(),
  emailVerified: z.boolean().default(false),
  firstName: line.optional(),
  lastName: line.optional(),
});
export type ImportedUser = z.output<typeof user>;

const MOST = 1_000_000;

/**
 * The users of a JSON list.
 * @throws CommandFailed (2) naming the place in the list and the field, never what stands there
 */
export function readUsers(text: string): ImportedUser[] {
  const invalid = (said: string) => new CommandFailed(exitCodes.invalid, said);
  const list = (() => {
    try {
      return JSON.parse(text) as unknown;
    } catch {
      throw invalid('this is not JSON');
    }
  })();
  const parsed = z.array(user).min(1).max(MOST).safeParse(list);
  if (!parsed.success) {
    const places = parsed.error.issues
      .slice(0, 20)
      .map(({ path, code, keys }: { path: PropertyKey[]; code: string; keys?: string[] }) =>
        code === 'unrecognized_keys'
          ? `user ${String(path[0])}: ${keys?.join(', ')} is not taken`
          : `user ${path.map(String).join('.') || '(none)'}: is missing or does not have the right form`,
      );
    throw invalid(places.join('\n'));
  }
  const names = new Set<string>();
  for (const [at, { username }] of parsed.data.entries()) {
    const name = username.toLowerCase();
    if (names.has(name)) throw invalid(`user ${at}.username: stands twice`);
    names.add(name);
  }
  return parsed.data;
}
