import { run } from '@postern/cli';
import { services, type Cast, type Home, type Service, type Stack } from '@postern/dev';
import { plainWayTo, postgresToolsFolder } from '@postern/testing';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** The command line and the databases of a stack, as its operator has them. */
export type Operator = {
  backup(into: string): Promise<Ended>;
  restore(from: string, of: readonly Service[], list?: string): Promise<Ended>;
  /** The first column of the first row; empty where there is none. */
  ask(service: Service, query: string): Promise<string>;
  close(): void;
};

/** Where a restore is tried: a stack, its people, who operates it, and the list of destroyed keys. */
export type Site = { home: Home; stack: Stack; cast: Cast; list: string; operator: Operator };

export type Ended = { code: number; said: string };

export async function openOperator(stack: Stack, home: Home, list: string): Promise<Operator> {
  const tools = await postgresToolsFolder();
  const ways = new Map<Service, Awaited<ReturnType<typeof plainWayTo>>>();
  const postgres = stack.state.ports['postgres'] ?? 0;
  for (const service of services) ways.set(service, await plainWayTo(postgres, stack.certificates.of[service]));
  const urlOf = (service: Service): string => {
    const url = new URL(stack.environmentOf(service)['POSTERN_POSTGRES_OWNER_URL'] ?? '');
    url.port = String(ways.get(service)?.port);
    url.searchParams.set('sslmode', 'disable');
    return url.href;
  };
  const databases = (of: readonly Service[]) => of.flatMap((service) => ['--database', `${service}=${urlOf(service)}`]);
  const command = async (...words: string[]): Promise<Ended> => {
    const said: string[] = [];
    const add = (line: string) => void said.push(line);
    const terminal = { out: add, err: add, input: async () => '', folder: home.dir, interactive: false };
    const code = await run([...words, '--tools', tools], { ...terminal, environment: process.env });
    return { code, said: said.join('\n') };
  };
  return {
    close: () => [...ways.values()].forEach((way) => way.close()),
    backup: (into) => command('backup', '--into', into, '--keeps', `destroyed-keys=${list}`, ...databases(services)),
    restore: (from, of, place = list) =>
      command('restore', '--from', from, '--keeps', `destroyed-keys=${place}`, ...databases(of)),
    async ask(service, query) {
      const words = ['-X', '-A', '-t', '-d', urlOf(service), '-c', query];
      return (await promisify(execFile)(join(tools, 'psql'), words)).stdout.trim();
    },
  };
}
