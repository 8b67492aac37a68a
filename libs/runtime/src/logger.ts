import { pino, type DestinationStream } from 'pino';
import { isListedText } from './log-fields.ts';
import { errorFields } from './log-error.ts';
import { currentTrace } from './trace.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';
export type LogFields = Readonly<Record<string, unknown>>;

type Write = {
  (message: string): void;
  (fields: LogFields, message: string): void;
};

/**
 * Messages are fixed sentences; what varies goes into fields. A field passes when it is a number or a boolean, or text under a listed
 * name (`log-fields.ts`), or `err`. Everything else is printed as `[unlisted]`, so a secret cannot get into a log by accident.
 */
export type Logger = {
  readonly debug: Write;
  readonly info: Write;
  readonly warn: Write;
  readonly error: Write;
  /** Whether lines of that level are written: guards fields that are costly to compute. */
  isEnabled(level: Exclude<LogLevel, 'silent'>): boolean;
  child(fields: LogFields): Logger;
};

export type LoggerOptions = {
  readonly service: string;
  readonly level?: LogLevel;
  readonly environment?: string;
  readonly destination?: DestinationStream;
};

/** A logger that writes JSON lines to stdout, or to `destination`. */
export function createLogger({ service, level = 'info', environment, destination }: LoggerOptions): Logger {
  const options = {
    level,
    base: { service, ...(environment === undefined ? {} : { environment }) },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    messageKey: 'message',
    mixin: traceFields,
  };
  const sink = destination ? pino(options, destination) : pino(options);
  return over(sink);
}

/** Each line within a trace says which, also one that is written far below the request. */
function traceFields(): Record<string, string> {
  const at = currentTrace();
  return at === null ? {} : { trace: at.id, span: at.span };
}

/** A logger that writes nothing. */
export const silentLogger = (): Logger => createLogger({ service: 'silent', level: 'silent' });

function over(sink: pino.Logger): Logger {
  const write =
    (level: Exclude<LogLevel, 'silent'>): Write =>
    (first: string | LogFields, message?: string) => {
      if (!sink.isLevelEnabled(level)) return;
      if (typeof first === 'string') sink[level](first);
      else sink[level](allowed(first), message ?? '');
    };
  return {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    isEnabled: (level) => sink.isLevelEnabled(level),
    child: (fields) => over(sink.child(allowed(fields))),
  };
}

const UNLISTED = '[unlisted]';
const LONGEST_TEXT = 512;

function allowed(fields: LogFields): Record<string, unknown> {
  const passed: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    passed[name] = name === 'err' ? errorFields(value) : allowedValue(name, value);
  }
  return passed;
}

function allowedValue(name: string, value: unknown): unknown {
  if (value === null || typeof value === 'number' || typeof value === 'boolean') return value;
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Date) return value.toISOString();
  if (!isListedText(name)) return UNLISTED;
  if (typeof value === 'string') return value.slice(0, LONGEST_TEXT);
  if (Array.isArray(value) && value.every((item) => typeof item === 'string'))
    return value.slice(0, 50).map((item) => item.slice(0, LONGEST_TEXT));
  return UNLISTED;
}
