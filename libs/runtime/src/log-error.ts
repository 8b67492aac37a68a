const MOST_FRAMES = 12;
const MOST_CAUSES = 4;
const FRAME = /^ {4}at [^\n]{1,400}:\d+:\d+\)?$/;

export type ErrorFields = {
  type: string;
  code?: string;
  message?: string;
  table?: string;
  constraint?: string;
  stack?: string[];
  cause?: ErrorFields;
};

/**
 * What of an error may be logged: its class, its code and the frames of its stack. Its message only when the operating system wrote it
 * (`connect ECONNREFUSED ...`): other messages quote input (`JSON.parse`, Postgres, Node's argument checks). Causes alike.
 */
export function errorFields(error: unknown, depth = 0): ErrorFields {
  if (!(error instanceof Error)) return { type: typeof error };
  const facts = error as Error & { code?: unknown; syscall?: unknown; table?: unknown; constraint?: unknown };
  const stack = (error.stack ?? '').split('\n').filter((line) => FRAME.test(line));
  return {
    type: nameOf(error),
    ...listed('code', facts.code),
    ...(typeof facts.syscall === 'string' ? { message: error.message.slice(0, 200) } : {}),
    ...listed('table', facts.table),
    ...listed('constraint', facts.constraint),
    ...(depth === 0 ? { stack: stack.slice(0, MOST_FRAMES).map((line) => line.trim()) } : {}),
    ...(error.cause !== undefined && depth < MOST_CAUSES ? { cause: errorFields(error.cause, depth + 1) } : {}),
  };
}

const IDENTIFIER = /^[A-Za-z0-9_.-]{1,80}$/;

const nameOf = (error: Error): string => (IDENTIFIER.test(error.name) ? error.name : 'Error');

const listed = (name: 'code' | 'table' | 'constraint', value: unknown): Partial<ErrorFields> =>
  typeof value === 'string' && IDENTIFIER.test(value) ? { [name]: value } : {};
