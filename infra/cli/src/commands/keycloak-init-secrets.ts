import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileOption, openDocument } from '../keycloak/document.ts';
import { CommandFailed, exitCodes } from '../outcome.ts';
import { defineCommand } from '../table/command.ts';

const SECRET_BYTES = 32;
const recipientForm = /^age1[a-z0-9]{58,}$/;

/** Upper and lower case, digits and a special character are in it: it is also a password under the strictest profile. */
const newSecret = () => `${randomBytes(SECRET_BYTES).toString('base64url')}aA1!`;

export const command = defineCommand({
  about:
    'Makes a random secret for each age: reference of the document whose file is not there yet, sealed to the recipients. Prints none of them.',
  options: {
    ...fileOption,
    recipient: { type: 'string', multiple: true, value: 'age1...', about: 'who may open them; may be repeated' },
    json: { type: 'boolean', about: 'a list of { reference, made }' },
  },
  async run({ values }, terminal) {
    const document = await openDocument(values.file, terminal);
    const recipients = values.recipient;
    if (recipients.length === 0 || !recipients.every((one) => recipientForm.test(one)))
      throw new CommandFailed(exitCodes.usage, '--recipient age1... says who may open the secrets (age-keygen -y)');
    const references = [
      ...new Set(
        document.settings
          .map(({ value }) => value)
          .filter((value): value is string => typeof value === 'string' && value.startsWith('age:')),
      ),
    ];
    if (references.length === 0) throw new CommandFailed(exitCodes.refused, 'the document has no age: reference');
    const { Encrypter, armor } = await import('age-encryption');
    const folder = dirname(resolve(terminal.folder, values.file));
    const done: { reference: string; made: boolean }[] = [];
    for (const reference of references) {
      const path = resolve(folder, reference.slice('age:'.length));
      const made = !existsSync(path);
      if (made) {
        const encrypter = new Encrypter();
        for (const one of recipients) encrypter.addRecipient(one);
        mkdirSync(dirname(path), { recursive: true });
        writeFileSync(path, armor.encode(await encrypter.encrypt(newSecret())), { flag: 'wx', mode: 0o600 });
      }
      done.push({ reference, made });
      if (!values.json) terminal.out(`${reference}: ${made ? 'made' : 'is there already, left alone'}`);
    }
    if (values.json) terminal.out(JSON.stringify(done));
    return exitCodes.done;
  },
});
