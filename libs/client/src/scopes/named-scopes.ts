/** RFC 6749 section 3.3. */
const SCOPE = /^[\x21\x23-\x5B\x5D-\x7E]{1,128}$/;
const MOST_SCOPES = 16;
const DEEPEST = 6;
const LONGEST_TEXT = 16_384;

/** Names of fields that hold the scopes a call needs. */
const FIELDS = [
  'required_scope',
  'required_scopes',
  'requiredScope',
  'requiredScopes',
  'missing_scope',
  'missing_scopes',
  'missingScopes',
];
const LACKS =
  /insufficient[_ ]scopes?|missing (the )?(required )?scopes?|requires? (the )?scopes?|required scopes?|scopes? required/i;
/** `required scope: mcp:list_files`, `Missing scopes: a, b`, `scope 'a' is required`. */
const IN_TEXT =
  /scopes?(?: required)?\s*[:=]?\s*((?:["'`[(]*[A-Za-z][\w.-]*[:/][\w.:/*-]+["'`\])]*(?:,\s*|\s+and\s+|\s+)?)+)/gi;

/** RFC 6750 section 3: the scopes of a `WWW-Authenticate` that says `insufficient_scope`. */
export function scopesOfChallenge(challenge: string | null | undefined): string[] {
  if (!challenge || !/\berror="?insufficient_scope"?/.test(challenge)) return [];
  return valid((/\bscope="([^"]*)"/.exec(challenge)?.[1] ?? '').split(' '));
}

/**
 * The scopes that an error of a tool or of an API names as lacking, in the shapes that MCP servers (`isError` with texts or `structuredContent`, a
 * JSON-RPC `error` with `data`) and Llama Stack (`error.message`, `detail`) give them; none where it is another error.
 */
export function scopesNamedBy(error: unknown): string[] {
  return valid(look(error, DEEPEST));
}

function look(value: unknown, depth: number): string[] {
  if (depth === 0 || value === null) return [];
  if (typeof value === 'string') return inText(value, depth);
  if (Array.isArray(value)) return value.slice(0, MOST_SCOPES).flatMap((item) => look(item, depth - 1));
  if (typeof value !== 'object') return [];
  const object = value as Record<string, unknown>;
  const challenged = scopesOfChallenge(challengeIn(object['headers']));
  if (challenged.length > 0) return challenged;
  const named = FIELDS.flatMap((field) => listOf(object[field]));
  if (named.length > 0) return named;
  if (object['error'] === 'insufficient_scope') {
    const scopes = listOf(object['scope'] ?? object['scopes']);
    if (scopes.length > 0) return scopes;
  }
  const parts = [
    'error',
    'data',
    'detail',
    'message',
    'error_description',
    'content',
    'structuredContent',
    'text',
    'errors',
    'result',
  ];
  return parts.flatMap((part) => look(object[part], depth - 1));
}

/** Errors of HTTP clients carry the headers of the answer: a plain object (Llama Stack's) or a `Headers`. */
function challengeIn(headers: unknown): string | null {
  if (typeof headers !== 'object' || headers === null) return null;
  if (headers instanceof Headers) return headers.get('www-authenticate');
  const found = Object.entries(headers).find(([name]) => name.toLowerCase() === 'www-authenticate')?.[1];
  return typeof found === 'string' ? found : null;
}

function inText(text: string, depth: number): string[] {
  if (text.length > LONGEST_TEXT) return [];
  if (/^\s*[{[]/.test(text)) {
    try {
      return look(JSON.parse(text), depth - 1);
    } catch {
      // Text that only begins like JSON.
    }
  }
  if (!LACKS.test(text)) return [];
  return [...text.matchAll(IN_TEXT)]
    .flatMap(([, list = '']) => list.split(/[\s,]+/).filter((word) => word !== 'and'))
    .map((word) => word.replaceAll(/^["'`[(]+|["'`\]).]+$/g, ''));
}

const listOf = (value: unknown): string[] =>
  typeof value === 'string'
    ? value.split(/[\s,]+/)
    : Array.isArray(value)
      ? value.filter((item): item is string => typeof item === 'string')
      : [];

const valid = (scopes: readonly string[]): string[] =>
  [...new Set(scopes.filter((scope) => SCOPE.test(scope)))].slice(0, MOST_SCOPES);
