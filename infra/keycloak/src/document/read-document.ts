import { profileNamed } from '@postern/profile';

import { DocumentRefused, type Problem } from './problem.ts';
import { allowedAt, controlAt } from './schema-lookup.ts';
import { documentShape } from './schema.ts';
import { readToml, type Path, type Toml } from './toml.ts';
import { openWaivers } from './waivers.ts';
import { resolveRealms } from './resolve-realm.ts';
import { settingsOf } from './settings.ts';
import { compileRealm } from '../realm/compile.ts';
import { RealmRefused } from '../realm/model.ts';
import { modelsOf } from './model-of.ts';
import { assertDeployment } from './deployment.ts';
import { type PosternDocument } from './postern-document.ts';
import { type Reading } from './reading.ts';

export type ReadOptions = {
  /** How the document is called in messages. */
  file: string;
  /** Decides which waivers have expired. */
  now: Date;
  /** Reads a file beside the document (policy, JWKS); without it there are none. */
  beside?(name: string): string | undefined;
};

/**
 * Reads `postern.toml`.
 * @throws DocumentRefused with every problem: file, line, key, what is allowed, and the control concerned
 */
export function readDocument(text: string, options: ReadOptions): PosternDocument {
  const { file, now, beside = () => undefined } = options;
  const toml = readToml(text, file);
  const parsed = documentShape.safeParse(toml.value);
  if (!parsed.success)
    throw new DocumentRefused(inOrder(parsed.error.issues.flatMap((one) => problemsOf(one, toml, file))));

  const document = parsed.data;
  const problems: Problem[] = [];
  const reading: Reading = {
    file,
    toml,
    profile: profileNamed(document.app.profile),
    waivers: openWaivers(document.waiver, now),
    findings: [],
    beside,
    lineOf: (path) => toml.placeOf(path).line,
    refuse: (path, message, more = {}) => {
      const control = more.control ?? controlAt(path);
      problems.push({
        file,
        ...toml.placeOf(path),
        key: path.join('.'),
        message,
        ...(more.allowed ? { allowed: more.allowed } : {}),
        ...(control ? { control } : {}),
      });
    },
  };
  assertDeployment(document, reading);
  const realms = resolveRealms(document, reading);
  reading.waivers.report(reading);
  if (problems.length > 0) throw new DocumentRefused(inOrder(problems));
  const read: PosternDocument = {
    file,
    profile: reading.profile,
    document,
    realms,
    settings: settingsOf(document, realms, reading),
    findings: reading.findings.sort((a, b) => a.line - b.line),
  };
  compiles(read, reading);
  if (problems.length > 0) throw new DocumentRefused(inOrder(problems));
  return read;
}

/** A realm that the compiler refuses is the document's mistake: names that nothing defines. */
function compiles(read: PosternDocument, { refuse }: Reading): void {
  for (const model of modelsOf(read)) {
    try {
      compileRealm(model);
    } catch (error) {
      if (!(error instanceof RealmRefused)) throw error;
      const realm = read.realms.find(({ name }) => name === model.name);
      refuse(['keycloak', 'realm', realm?.id ?? ''], error.message, {
        allowed: 'names that the document or its policy defines',
      });
    }
  }
}

type Issue = { code: string; path: PropertyKey[]; message: string; keys?: string[]; issues?: Issue[] };

const words: Record<string, string> = {
  invalid_type: 'is not of the right kind',
  invalid_value: 'is not one of the values that there are',
  too_small: 'is too small',
  too_big: 'is too large',
  invalid_format: 'does not have the right form',
  invalid_key: 'is not a name that this table takes',
  custom: 'does not have the right form',
};

/** Zod's issue in our words: its own would repeat the value. */
function problemsOf({ code, path: found, keys = [], message }: Issue, toml: Toml, file: string): Problem[] {
  const path = found.map((step) => (typeof step === 'number' ? step : String(step)));
  const at = (where: Path, said: string, allowed: string | undefined): Problem => {
    const control = controlAt(where);
    return {
      file,
      ...toml.placeOf(where),
      key: where.join('.'),
      message: said,
      ...(allowed ? { allowed } : {}),
      ...(control ? { control } : {}),
    };
  };
  if (code === 'unrecognized_keys')
    return keys.map((key) => at([...path, key], 'is not a key of this table', allowedAt(path)));
  const missing = code === 'invalid_type' && message.includes('received undefined');
  const allowed = code === 'invalid_key' ? 'lower-case letters, digits and hyphens, 2 to 63 of them' : allowedAt(path);
  return [at(path, missing ? 'is missing' : (words[code] ?? 'is not allowed'), allowed)];
}

const inOrder = (problems: Problem[]): Problem[] =>
  problems.sort((a, b) => a.line - b.line || a.column - b.column || (a.key < b.key ? -1 : 1));
