import type { Dispatcher } from 'undici';
import { EgressRefused } from './refused.ts';

type Headers = Dispatcher.DispatchOptions['headers'];

const isEncodingHeader = (name: unknown): boolean => String(name).toLowerCase() === 'accept-encoding';

/** The request's headers in any of undici's forms, asking for no content encoding: no size limit holds after one. */
function withoutEncodings(headers: Headers): string[] {
  const pairs: [unknown, unknown][] = [];
  if (Array.isArray(headers)) {
    for (let at = 0; at < headers.length; at += 2) pairs.push([headers[at], headers[at + 1]]);
  } else if (headers && Symbol.iterator in headers) {
    for (const [name, value] of headers) pairs.push([name, value]);
  } else if (headers) pairs.push(...Object.entries(headers));
  const kept = pairs.filter(([name, value]) => value !== undefined && !isEncodingHeader(name));
  const flat = kept.flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).flatMap((one) => [String(name), String(one)]),
  );
  return [...flat, 'accept-encoding', 'identity'];
}

/** An undici interceptor that takes neither redirects nor encoded bodies (R35). */
export const plainAnswersOnly: Dispatcher.DispatcherComposeInterceptor = (dispatch) => (options, handler) =>
  dispatch(
    { ...options, headers: withoutEncodings(options.headers) },
    {
      onRequestStart: (...given) => handler.onRequestStart?.(...given),
      onRequestUpgrade: (...given) => handler.onRequestUpgrade?.(...given),
      onResponseStart(controller, status, headers, ...rest) {
        const encoding = headers['content-encoding'] ?? 'identity';
        if (status >= 300 && status < 400) controller.abort(new EgressRefused('redirect', { sent: true }));
        else if (encoding !== 'identity') controller.abort(new EgressRefused('encoded', { sent: true }));
        else handler.onResponseStart?.(controller, status, headers, ...rest);
      },
      onResponseData: (...given) => handler.onResponseData?.(...given),
      onResponseEnd: (...given) => handler.onResponseEnd?.(...given),
      onResponseError: (...given) => handler.onResponseError?.(...given),
    },
  );
