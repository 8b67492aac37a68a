/** `servername`: the name that its certificate must carry. */
export type Server = { host: string; port: number; servername: string };

/** The server of a Redis URL; where it names a `master`, the sentinels to ask for it. @param servername in place of each one's host */
export function redisServers(url: string, servername?: string): [Server, ...Server[]] {
  const { hostname, port, searchParams } = new URL(url);
  const usualPort = searchParams.has('master') ? 26_379 : 6_379;
  const serverAt = (address: { hostname: string; port: string }): Server => {
    // A URL has brackets around an address of IPv6, a socket takes it without.
    const host = address.hostname.replace(/^\[|\]$/g, '');
    return { host, port: Number(address.port || usualPort), servername: servername ?? host };
  };
  const others = (searchParams.get('sentinels') ?? '').split(',').filter((entry) => entry !== '');
  return [serverAt({ hostname, port }), ...others.map((entry) => serverAt(new URL(`rediss://${entry}`)))];
}
