import { type CallAs, createPostern, type Postern, type ServiceUrls } from '@postern/client';
import { readDevelopmentState } from './development-state.ts';
import { CommandFailed, exitCodes, type Terminal } from './outcome.ts';
import { openPostern, subjectOf, subjectToken } from './subject.ts';
import { textOf } from './text-of.ts';

type Values = Partial<Record<'as' | 'to' | 'from' | 'cert' | 'key' | 'ca' | 'token', string | undefined>>;

/**
 * The service that a command works with, and who calls it: `--as` somebody of the development stack, or `--to` (`--from`) a URL with
 * a certificate and a token. @throws CommandFailed (64)
 */
export async function reachService(
  values: Values,
  service: keyof ServiceUrls,
  terminal: Terminal,
): Promise<{ postern: Postern; as: CallAs }> {
  const option = 'from' in values ? '--from' : '--to';
  const url = values.from ?? values.to;
  const file = (path: string | undefined) => (path === undefined ? undefined : textOf(path, terminal));
  if (url !== undefined) {
    const [cert, key, ca, token] = [file(values.cert), file(values.key), file(values.ca), file(values.token)?.trim()];
    if (cert === undefined || key === undefined || ca === undefined || token === undefined)
      throw new CommandFailed(exitCodes.usage, `${option} comes with --cert, --key, --ca and --token`);
    return {
      postern: createPostern({ tls: () => ({ cert, key, ca }), urls: { [service]: url } }),
      as: { token },
    };
  }
  if (values.as === undefined) throw new CommandFailed(exitCodes.usage, `--as or ${option} is needed`);
  const state = readDevelopmentState(terminal.folder);
  const subject = subjectOf(values.as, state);
  const postern = openPostern(state, subject.workload);
  return { postern, as: { subjectToken: await subjectToken(state, subject, postern) } };
}
