import { mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { installedProgram } from '../debian/program.ts';
import { startLeashed } from '../run/leash.ts';

/**
 * One server behind a front: where it answers, and the plain HTTP port whose `/health/ready` says whether to send to it. Without
 * one it is always sent to.
 */
export type BalancedServer = { name: string; port: number; readyPort?: number };

/** A port of 127.0.0.1 whose connections are given to the servers behind it. */
export type BalancedFront = { name: string; port: number; servers: readonly BalancedServer[] };

export type Balancer = {
  /** The process whose child is the balancer. */
  pid: number;
  /** Resolves when the balancer sends to this server at every front that it stands behind. @throws after a minute */
  untilUp(server: string): Promise<void>;
  /** New connections of a front go to these servers alone, until said otherwise. */
  sendTo(front: string, servers: readonly string[]): Promise<void>;
  close(): Promise<void>;
};

const UP_WITHIN_MS = 60_000;

/**
 * Starts HAProxy on loopback. Bytes go through as they are, so that mutual TLS ends in the service; a connection that a
 * server refuses goes to another one, which is what makes a restart unseen.
 * @throws Error when `haproxy` is missing or does not come up; its log file is named
 */
export async function startBalancer({
  folder,
  fronts,
}: {
  folder: string;
  fronts: readonly BalancedFront[];
}): Promise<Balancer> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const [file, statistics, logFile] = ['haproxy.cfg', 'statistics', 'haproxy.log'].map((name) =>
    join(folder, name),
  ) as [string, string, string];
  writeFileSync(file, configuration(statistics, fronts), { mode: 0o600 });
  const program = await installedProgram('haproxy', { of: 'haproxy' });
  const server = startLeashed([program, '-db', '-f', file], { cwd: folder, logFile, stopSignal: 'TERM' });
  const states = async () =>
    (await ask(statistics, 'show stat'))
      .split('\n')
      .map((line) => line.split(','))
      .flatMap(([, name = '', ...fields]) => [{ name, status: fields[STATUS - 2] ?? '' }]);
  const order = async (command: string) => {
    const said = (await ask(statistics, command)).trim();
    if (said !== '') throw new Error(`haproxy, told to ${command}: ${said}`);
  };
  const until = async (what: string, holds: () => Promise<boolean>) => {
    for (const end = Date.now() + UP_WITHIN_MS; Date.now() < end; await sleep(50)) {
      if (await holds().catch(() => false)) return;
    }
    throw new Error(`${what} in ${UP_WITHIN_MS / 1000} s; its log: ${logFile}`);
  };
  try {
    await Promise.race([until('haproxy does not answer', async () => (await states()).length > 0), server.ended]);
  } catch (error) {
    await server.kill();
    throw error;
  }
  return {
    pid: server.pid,
    untilUp: (wanted) =>
      until(`haproxy does not send to ${wanted}`, async () => {
        const own = (await states()).filter(({ name }) => name === wanted);
        return own.length > 0 && own.every(({ status }) => status.startsWith('UP') || status === 'no check');
      }),
    async sendTo(front, wanted) {
      for (const { name } of fronts.find((each) => each.name === front)?.servers ?? [])
        await order(`set server ${front}/${name} state ${wanted.includes(name) ? 'ready' : 'drain'}`);
    },
    close: server.stop,
  };
}

/** Column of `status` in HAProxy's table of statistics (management guide, 9.1). */
const STATUS = 17;

const configuration = (statistics: string, fronts: readonly BalancedFront[]): string =>
  [
    'global',
    `  stats socket ${statistics} mode 600 level admin`,
    '  maxconn 4000',
    'defaults',
    '  mode tcp',
    '  balance leastconn',
    '  timeout connect 1s',
    '  timeout client 1h',
    '  timeout server 1h',
    '  timeout check 3s',
    '  retries 3',
    '  option redispatch 1',
    '  option httpchk GET /health/ready',
    '  default-server inter 250ms fall 2 rise 1',
    ...fronts.flatMap(({ name, port, servers }) => [
      `listen ${name}`,
      `  bind 127.0.0.1:${port}`,
      ...(servers.some(({ readyPort }) => readyPort === undefined) ? IN_TURN : []),
      ...servers.map(serverLine),
    ]),
    '',
  ].join('\n');

/** Of servers that nothing looks at those that are away have the fewest connections: one that answers is found by turns. */
const IN_TURN = ['  balance roundrobin'];

const serverLine = ({ name, port, readyPort }: BalancedServer): string =>
  `  server ${name} 127.0.0.1:${port}${readyPort === undefined ? '' : ` check port ${readyPort}`}`;

/** One command on HAProxy's own socket, and what it answers. */
async function ask(socketPath: string, command: string): Promise<string> {
  const socket = connect(socketPath);
  socket.end(`${command}\n`);
  return text(socket);
}
