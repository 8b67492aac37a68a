const CONNECT_TIMEOUT_MS = 2_000;
const REQUEST_TIMEOUT_MS = 5_000;

/**
 * How long one attempt at AWS may take, to its first byte and between two. Without `throwOnRequestTimeout` the SDK only warns and
 * waits on: one request that is never answered would hold up everybody who needs that key, for ever.
 */
export const awsRequests = {
  connectionTimeout: CONNECT_TIMEOUT_MS,
  requestTimeout: REQUEST_TIMEOUT_MS,
  socketTimeout: REQUEST_TIMEOUT_MS,
  throwOnRequestTimeout: true,
} as const;
