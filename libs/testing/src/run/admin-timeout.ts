/** A spec may keep its own process busy for seconds while it connects; a server that is not there refuses at once. */
export const ADMIN_CONNECT_TIMEOUT_MS = 60_000;
