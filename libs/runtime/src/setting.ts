import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { Secret } from './secret.ts';

export type SettingOptions<Output> = {
  /** The value when the variable is absent or empty. A secret has none. */
  readonly default?: Output;
  /** Shown in the reference and in `.env.example`. */
  readonly example?: string;
  /** The parsed value is wrapped in {@link Secret}; give it by `NAME_FILE`. */
  readonly secret?: boolean;
  /** Set in production, the start is refused (R6). */
  readonly developmentOnly?: boolean;
};

export type Setting<Value = unknown> = {
  readonly schema: z.ZodType;
  readonly doc: string;
  readonly options: SettingOptions<unknown>;
  /** Only for the type: what {@link parseSettings} gives for it. */
  readonly value?: Value;
};

export type Settings = Readonly<Record<string, Setting>>;
export type Parsed<S extends Settings> = { readonly [K in keyof S]: S[K] extends Setting<infer Value> ? Value : never };

/** The environment was wrong. The message lists names and rules, never values. Exit code 78 (EX_CONFIG) in `runService`. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
  readonly mistakes: readonly string[];

  constructor(mistakes: readonly string[]) {
    super(`the configuration is wrong:\n${mistakes.map((mistake) => `  - ${mistake}`).join('\n')}`);
    this.mistakes = mistakes;
  }
}

/**
 * One environment variable. `schema` parses the variable's text (`z.coerce.number()`, `z.enum([...])`, {@link flag}, {@link port});
 * `doc` is one sentence for the reference table. Without `default` the variable is required, unless the schema accepts `undefined`.
 */
export function setting<T extends z.ZodType>(
  schema: T,
  doc: string,
  options: SettingOptions<z.output<T>> & { secret: true; default?: never },
): Setting<undefined extends z.output<T> ? Secret | undefined : Secret>;
export function setting<T extends z.ZodType>(
  schema: T,
  doc: string,
  options?: SettingOptions<z.output<T>>,
): Setting<z.output<T>>;
export function setting(schema: z.ZodType, doc: string, options: SettingOptions<unknown> = {}): Setting {
  return { schema, doc, options };
}

/** `true` or `false`, also `1`/`0`, `yes`/`no`. */
export const flag = z.stringbool();
/** A TCP port; 0 lets the system choose one. */
export const port = z.coerce.number().int().min(0).max(65535);
/** A path of a file or folder. */
export const path = z.string().min(1).max(4096);

/**
 * Reads each setting from `NAME`, or from the file that `NAME_FILE` names (one trailing newline is dropped). An empty variable counts as absent.
 * @throws ConfigurationError naming every mistake at once: absent, both forms given, unreadable file, value that does not parse.
 */
export function parseSettings<S extends Settings>(settings: S, env: NodeJS.ProcessEnv): Parsed<S> {
  const mistakes: string[] = [];
  const parsed: Record<string, unknown> = {};
  for (const [name, declared] of Object.entries(settings)) {
    const text = textOf(name, env, mistakes);
    if (text === REFUSED) continue;
    if (text === undefined && declared.options.default !== undefined) {
      parsed[name] = declared.options.default;
      continue;
    }
    const result = declared.schema.safeParse(text);
    if (!result.success) mistakes.push(`${name}: ${text === undefined ? 'is required' : rulesBroken(result.error)}`);
    else
      parsed[name] =
        declared.options.secret && result.data !== undefined ? new Secret(String(result.data)) : result.data;
  }
  if (mistakes.length > 0) throw new ConfigurationError(mistakes);
  return Object.freeze(parsed) as Parsed<S>;
}

const REFUSED = Symbol('refused');

function textOf(name: string, env: NodeJS.ProcessEnv, mistakes: string[]): string | undefined | typeof REFUSED {
  const direct = env[name] || undefined;
  const file = env[`${name}_FILE`] || undefined;
  if (file === undefined) return direct;
  if (direct !== undefined) {
    mistakes.push(`${name}: is given twice, by ${name} and by ${name}_FILE`);
    return REFUSED;
  }
  try {
    return readFileSync(file, 'utf8').replace(/\r?\n$/, '') || undefined;
  } catch {
    mistakes.push(`${name}_FILE: the file cannot be read`);
    return REFUSED;
  }
}

// zod's own messages may quote what was received ("Invalid key: ..."): only the rule's name leaves.
const rulesBroken = (error: z.ZodError): string => [...new Set(error.issues.map((issue) => ruleOf(issue)))].join(', ');

/** The rule that was broken, without the value that broke it. */
export function ruleOf(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${issue.expected}`;
    case 'invalid_value':
      return `must be one of ${issue.values.map(String).join(' | ')}`;
    case 'too_small':
      return `must be at least ${issue.minimum}`;
    case 'too_big':
      return `must be at most ${issue.maximum}`;
    case 'invalid_format':
      return `must be a valid ${issue.format}`;
    default:
      return 'is not valid';
  }
}
