import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Why no step was made. */
export class MigrationRefused extends Error {}

export type NewMigration = { file: string; setFile: string; step: string };

const IMPORT = /^import \{ \w+ \} from '\.\/(\d{4})-[\w-]+\.ts';$/gm;

/**
 * Adds a step to a set of migrations: its file with nothing in it but a comment, its import and its place at the end of
 * the set. Steps that are there already are not touched: they have run somewhere.
 *
 * @param folder the service's `src/db/migrations`
 * @param set the set's file without `.ts`
 * @param name what the step is about, in small letters with hyphens
 * @throws MigrationRefused for a set that is not there, a bad name, or a set of another shape
 */
export function addMigration(folder: string, set: string, name: string): NewMigration {
  const setFile = join(folder, `${set}.ts`);
  if (!/^[a-z][a-z0-9-]{1,40}$/.test(name)) throw new MigrationRefused('a name is small letters, digits and hyphens');
  if (!existsSync(setFile)) {
    const sets = existsSync(folder) ? readdirSync(folder).filter((one) => /^[a-z-]+\.ts$/.test(one)) : [];
    throw new MigrationRefused(`${folder} has no set ${set}${sets.length > 0 ? `, only ${sets.join(', ')}` : ''}`);
  }
  const source = readFileSync(setFile, 'utf8');
  const imports = [...source.matchAll(IMPORT)];
  const last = imports.at(-1);
  const steps = /steps: \{([^}]*)\}/.exec(source);
  if (!last || !steps) throw new MigrationRefused(`${setFile} does not list its steps as files`);
  const number = String(Math.max(...imports.map(([, digits]) => Number(digits))) + 1).padStart(4, '0');
  const step = `${number}-${name}`;
  const constant = set.replaceAll(/-(\w)/g, (_, letter: string) => letter.toUpperCase()) + number;
  const listed = steps[1]!.trim().replace(/,$/, '');

  const file = join(folder, `${step}.ts`);
  if (existsSync(file)) throw new MigrationRefused(`${file} is there already`);
  writeFileSync(
    file,
    `/** What the step is for. Once it has run somewhere it is never edited, only followed. */\nexport const ${constant} = \`\n\`;\n`,
  );
  writeFileSync(
    setFile,
    source
      .replace(last[0], `${last[0]}\nimport { ${constant} } from './${step}.ts';`)
      .replace(steps[0], `steps: {\n    ${listed.replaceAll(/,\s*/g, ',\n    ')},\n    '${step}': ${constant},\n  }`),
  );
  return { file, setFile, step };
}
