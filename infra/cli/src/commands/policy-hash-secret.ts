import { hashClientSecret } from '@postern/policy';
import { CommandFailed, exitCodes } from '../outcome.ts';
import { defineCommand } from '../table/command.ts';

const LEAST_CHARACTERS = 16;

export const command = defineCommand({
  about: 'Reads a client secret from standard input and prints what a policy holds of it (`clientSecrets`).',
  options: {},
  async run(_, terminal) {
    const secret = (await terminal.input()).replace(/\r?\n$/, '');
    if (secret.length < LEAST_CHARACTERS) {
      throw new CommandFailed(exitCodes.invalid, `a client secret has at least ${LEAST_CHARACTERS} characters`);
    }
    terminal.out(await hashClientSecret(secret));
    return exitCodes.done;
  },
});
