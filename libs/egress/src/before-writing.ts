import type { Dispatcher } from 'undici';

/**
 * An undici interceptor that calls `check` when the request's turn on an open connection has come, the last moment
 * before its head is written. What `check` throws aborts the request unwritten.
 */
export function beforeWriting(check: () => void): Dispatcher.DispatcherComposeInterceptor {
  return (dispatch) => (options, handler) =>
    dispatch(options, {
      onRequestStart(controller, context) {
        try {
          check();
        } catch (error) {
          controller.abort(error instanceof Error ? error : new Error('refused before writing'));
          return;
        }
        handler.onRequestStart?.(controller, context);
      },
      onRequestUpgrade: (...given) => handler.onRequestUpgrade?.(...given),
      onResponseStart: (...given) => handler.onResponseStart?.(...given),
      onResponseData: (...given) => handler.onResponseData?.(...given),
      onResponseEnd: (...given) => handler.onResponseEnd?.(...given),
      onResponseError: (...given) => handler.onResponseError?.(...given),
    });
}
