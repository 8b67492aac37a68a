import { z } from 'zod';

const TOKEN = /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$/;
/**
 * What a caller or a definition never sets: who is asked, who asks, how the message is framed and coded, what a signature sets
 * (`x-amz-target` is none of these: it names the operation).
 */
const NEVER =
  /^(host|authorization|proxy-.*|cookie2?|connection|keep-alive|te|trailer|transfer-encoding|content-length|upgrade|expect|accept-encoding|content-encoding|range|forwarded|via|x-forwarded-.*|x-real-ip|x-http-method.*|x-amz-(?!target$).*|sec-.*|:.*)$/;

const headerName = z
  .string()
  .regex(TOKEN)
  .toLowerCase()
  .refine((name) => !NEVER.test(name), 'a header that the caller or the definition never sets');
/** Visible ASCII and spaces inside (RFC 9110 section 5.5). */
export const headerValue = z
  .string()
  .max(1024)
  .regex(/^([\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?)?$/);

/** What stands before the secret in its header, as `Token `: a space may be its last. */
const prefix = z
  .string()
  .max(64)
  .regex(/^[\x21-\x7e][\x20-\x7e]*$/);

const host = z
  .string()
  .max(260)
  .regex(
    /^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*(:[0-9]{1,5})?$|^\[[0-9a-f:]+\](:[0-9]{1,5})?$/,
  )
  // One spelling of each host: `127.1` is another one of 127.0.0.1.
  .refine(
    (text) => URL.canParse(`https://${text}`) && new URL(`https://${text}`).host === text,
    'as it stands in a URL',
  );
const queryName = z.string().regex(/^[A-Za-z0-9._~-]{1,64}$/);

const awsName = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/);
/** What answers with other credentials (R37), as a name in a scope or in a host. */
const GIVES_CREDENTIALS = /(^|[.-])(sts|iam)([.-]|$)/;

const placement = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('bearer') }),
  z.strictObject({
    kind: z.literal('basic'),
    username: z
      .string()
      .max(128)
      .regex(/^[\x21-\x39\x3b-\x7e]*$/)
      .describe('the secret is the password'),
  }),
  z.strictObject({
    kind: z.literal('header'),
    name: headerName.describe('of the header'),
    prefix: prefix.optional().describe('what stands before the secret, as `Token `'),
  }),
  z.strictObject({ kind: z.literal('query'), name: queryName.describe('of the parameter') }),
  z.strictObject({
    kind: z.literal('sigv4').describe('the secret is an access key, as JSON'),
    service: awsName
      .refine((name) => !GIVES_CREDENTIALS.test(name), 'never STS or IAM')
      .describe('of AWS, as signatures name it'),
    region: awsName.describe('of AWS'),
  }),
]);

/** Segments of a path, each as it stands or `*` for any one. */
const pathPattern = z
  .string()
  .max(512)
  .regex(/^(\/(\*|[A-Za-z0-9._~-]*))+$/)
  .refine((path) => !/(^|\/)\.{1,2}(\/|$)/.test(path), 'no segment of dots');

/** A field of a JSON answer: names and places in lists, separated by dots. */
const field = z.string().regex(/^[A-Za-z0-9_-]{1,64}(\.[A-Za-z0-9_-]{1,64}){0,7}$/);

/** R37: everything about a use that is fixed before anyone uses the secret. */
export const useDefinition = z
  .strictObject({
    host: host.describe('name or name:port; https only, checked again at each use (R35)'),
    placement,
    methods: z
      .array(z.enum(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']))
      .min(1)
      .max(6),
    path: pathPattern.describe('segments, each as it stands or `*` for any one'),
    headers: z
      .record(headerName, headerValue)
      .refine((headers) => Object.keys(headers).length <= 16, 'at most 16')
      .default({})
      .describe('sent with every use'),
    caller_headers: z.array(headerName).max(16).default([]).describe('headers that the caller may set'),
    caller_query: z.array(queryName).max(16).default([]).describe('parameters that the caller may set'),
    answer_fields: z
      .array(field)
      .max(32)
      .default([])
      .describe('what of a JSON answer is given out; none: the status alone'),
    full_answer: z
      .boolean()
      .default(false)
      .describe(
        "the whole answer; only where the operator has said that the host's answers are as good as the secret itself",
      ),
  })
  .refine(({ placement, host: of }) => placement.kind !== 'sigv4' || !GIVES_CREDENTIALS.test(of), {
    path: ['host'],
    message: 'never STS or IAM',
  });

export type UseDefinition = z.output<typeof useDefinition>;
