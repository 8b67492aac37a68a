/** One request of this package and its answer, with everything secret taken out. */
export type TraceEntry = {
  method: string;
  url: string;
  /** Parameters of the form, or none; several values of one with spaces between. Only those that are no secret have their value. */
  sent: Readonly<Record<string, string>>;
  /** Absent where no answer came. */
  status?: number;
  answer?: Readonly<Record<string, unknown>>;
  milliseconds: number;
};

export type Trace = (entry: TraceEntry) => void;

const HIDDEN = '[hidden]';
const PLAIN_SENT = new Set([
  'grant_type',
  'audience',
  'scope',
  'resource',
  'subject_token_type',
  'requested_token_type',
  'client_id',
  'client_assertion_type',
]);
const PLAIN_ANSWERED = new Set([
  'token_type',
  'issued_token_type',
  'expires_in',
  'scope',
  'error',
  'error_description',
  'approval_id',
  'interval',
  'code',
  'title',
  'status',
]);

/** What looks like a token, whatever it stands in. */
const TOKEN = /[\w-]{8,}\.[\w-]{8,}\.[\w-]*/g;

/** The last line of defence for texts that others wrote: no token survives in them. */
export const withoutTokens = (text: string): string => text.replaceAll(TOKEN, HIDDEN);

const shown = (plain: ReadonlySet<string>, fields: Iterable<readonly [string, unknown]>): Record<string, never> =>
  Object.fromEntries(
    [...fields].map(([name, value]) => [
      name,
      plain.has(name) ? (typeof value === 'string' ? withoutTokens(value) : value) : HIDDEN,
    ]),
  ) as Record<string, never>;

/** The parameters of a form as they may be shown: by an allow-list, so that a new one is hidden until somebody thinks of it. */
export const shownForm = (form: URLSearchParams): Record<string, string> =>
  shown(
    PLAIN_SENT,
    [...form.keys()].map((name) => [name, form.getAll(name).join(' ')]),
  );

/** The fields of an answer as they may be shown. */
export const shownAnswer = (answer: unknown): Record<string, unknown> =>
  typeof answer === 'object' && answer !== null ? shown(PLAIN_ANSWERED, Object.entries(answer)) : {};

/** Lines for a person, as `POSTERN_CLIENT_DEBUG=true` prints them. */
export const traceTo =
  (write: (line: string) => unknown): Trace =>
  ({ method, url, sent, status, answer, milliseconds }) =>
    void write(
      `postern ${method} ${url} ${JSON.stringify(sent)} -> ${status ?? 'no answer'} ${JSON.stringify(answer ?? {})} (${Math.round(milliseconds)} ms)\n`,
    );
