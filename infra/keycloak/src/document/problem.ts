/** One thing that is wrong in a document. Values are not repeated: one of them may be a secret. */
export type Problem = {
  file: string;
  /** From 1. */
  line: number;
  column: number;
  /** Dotted path: `keycloak.realm.myapp.overrides.session_idle_timeout`. */
  key: string;
  message: string;
  /** What may stand there. */
  allowed?: string;
  /** The control of NIST SP 800-53 that the key belongs to. */
  control?: string;
};

/** The document is not used: every problem that was found, in the order of its lines. */
export class DocumentRefused extends Error {
  override name = 'DocumentRefused';
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(problems.map(written).join('\n'));
    this.problems = problems;
  }
}

/** `postern.toml:12:1 keycloak.port: must be a whole number (allowed: 1 to 65535) [SC-8]` */
export function written({ file, line, column, key, message, allowed, control }: Problem): string {
  const where = `${file}:${line}:${column}${key ? ` ${key}` : ''}`;
  return `${where}: ${message}${allowed ? ` (allowed: ${allowed})` : ''}${control ? ` [${control}]` : ''}`;
}
