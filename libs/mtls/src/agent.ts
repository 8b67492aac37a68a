import { getCACertificates } from 'node:tls';
import { Agent, Dispatcher } from 'undici';
import type { TlsMaterial } from './material.ts';
import { clientTls } from './client-tls.ts';

export type AgentOptions = {
  /** Most connections to one origin. Default 50. */
  connections?: number;
  /** The name the server's certificate must carry, where it is not the host of the URL. */
  servername?: string;
  /** `public`: servers are believed by the authorities that Node knows (NODE_EXTRA_CA_CERTS too) as well. Default: by the services' own alone. */
  authority?: 'services' | 'public';
};

/** An undici dispatcher over mTLS: one long-lived agent, replaced when the certificate rotates. */
export type MtlsAgent = Dispatcher & {
  /** Thumbprint of the certificate that new requests go out with. */
  thumbprint(): string;
};

class RotatingAgent extends Dispatcher implements MtlsAgent {
  #agent: Agent;
  #thumbprint: string;
  readonly #unsubscribe: () => void;

  constructor(material: TlsMaterial, open: () => Agent) {
    super();
    this.#agent = open();
    this.#thumbprint = material.current().thumbprint;
    this.#unsubscribe = material.onChange((files) => {
      const old = this.#agent;
      this.#agent = open();
      this.#thumbprint = files.thumbprint;
      // Requests under way finish on the old certificate; its idle connections end now.
      void old.close();
    });
  }

  thumbprint(): string {
    return this.#thumbprint;
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    return this.#agent.dispatch(options, handler);
  }

  override close(callback?: () => void): Promise<void> & void {
    this.#unsubscribe();
    const closed = this.#agent.close();
    if (callback) void closed.then(callback);
    return closed as Promise<void> & void;
  }

  override destroy(...args: unknown[]): Promise<void> & void {
    this.#unsubscribe();
    const error = args.find((argument): argument is Error => argument instanceof Error) ?? null;
    const callback = args.find((argument): argument is () => void => typeof argument === 'function');
    const destroyed = this.#agent.destroy(error);
    if (callback) void destroyed.then(callback);
    return destroyed as Promise<void> & void;
  }
}

/** Opens the agent for one peer. Keep it for the life of the process: a handshake costs more than a request. */
export function openAgent(material: TlsMaterial, options: AgentOptions = {}): MtlsAgent {
  const { connections = 50, servername, authority = 'services' } = options;
  return new RotatingAgent(material, () => {
    const { cert, key, ca } = material.current();
    const tls =
      servername === undefined ? { cert, key, ca, minVersion: 'TLSv1.3' as const } : clientTls(material, servername);
    const believed = authority === 'public' ? { ca: [ca, ...getCACertificates('default')] } : {};
    return new Agent({ connections, connect: { ...tls, ...believed, maxCachedSessions: 0 } });
  });
}
