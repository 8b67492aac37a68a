import { type FrontAnswer } from '@postern/testing/https-front';

/** What a provider may answer and ought not to, each with the one error that callers get for it. */
export const faultyAnswers: [string, FrontAnswer, string][] = [
  ['throttled', { status: 429, headers: { 'retry-after': '7' }, body: '{}' }, 'provider_throttled'],
  ['500', { status: 500, body: '{}' }, 'provider_unreachable'],
  ['503', { status: 503, body: 'busy' }, 'provider_unreachable'],
  ['malformed', { status: 200, headers: { 'content-type': 'application/json' }, body: '{"Name":' }, 'provider_failed'],
  ['empty', { status: 200, headers: { 'content-type': 'application/json' }, body: '{}' }, 'provider_failed'],
  ['nothing', { status: 200, headers: { 'content-type': 'application/json' }, body: 'null' }, 'provider_failed'],
  ['a redirect', { status: 302, headers: { location: 'https://127.0.0.1:1/' }, body: '' }, 'provider_failed'],
  [
    'too long',
    { status: 200, headers: { 'content-type': 'application/json' }, body: 'x'.repeat(1_200_000) },
    'provider_failed',
  ],
];
