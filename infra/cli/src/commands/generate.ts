import { NothingToGenerate, outputKinds, outputs, type OutputKind } from '@postern/keycloak';
import { CommandFailed, exitCodes } from '../outcome.ts';
import { fileOption, openDocument, tellFindings } from '../keycloak/document.ts';
import { writeFiles } from '../keycloak/write-files.ts';
import { defineCommand } from '../table/command.ts';

export const command = defineCommand({
  takes: outputKinds.join('|'),
  positionals: [1, 1],
  about: `Writes what the document says in another tool's words. A single file goes to stdout unless --out names a folder.
Nothing is written unless the whole document may be used.`,
  options: {
    ...fileOption,
    out: { type: 'string', short: 'o', value: 'FOLDER', about: 'write the files there' },
    json: { type: 'boolean', about: 'the files as a list of { path, text }' },
  },
  async run({ values, positionals: [what = ''] }, terminal) {
    if (!(outputKinds as readonly string[]).includes(what))
      throw new CommandFailed(exitCodes.usage, `there are ${outputKinds.join(', ')}`);
    const document = await openDocument(values.file, terminal);
    const files = (() => {
      try {
        return outputs[what as OutputKind](document);
      } catch (error) {
        if (error instanceof NothingToGenerate) throw new CommandFailed(exitCodes.refused, error.message);
        throw error;
      }
    })();
    tellFindings(document, terminal);
    const [only] = files;
    if (values.json) terminal.out(JSON.stringify(files));
    else if (values.out !== undefined) writeFiles(files, values.out, terminal);
    else if (files.length === 1 && only) terminal.out(only.text.replace(/\n$/, ''));
    else throw new CommandFailed(exitCodes.usage, `there are ${files.length} files: --out FOLDER says where they go`);
    return exitCodes.done;
  },
});
