import { readDevelopmentState } from '../development-state.ts';
import { CommandFailed, exitCodes } from '../outcome.ts';
import { openPostern, subjectOf, subjectToken } from '../subject.ts';
import { defineCommand } from '../table/command.ts';

export const command = defineCommand({
  takes: 'NAME',
  positionals: [1, 1],
  about:
    'A workload’s key is in the wrong hands: revokes its tokens, refuses it, closes its log, and says what is left to do.',
  options: {
    as: { type: 'string', value: 'NAME', about: 'who gives the order: one with the role operator' },
    reason: { type: 'string', value: 'TEXT', about: 'why, for the record of token-exchange' },
    again: { type: 'boolean', about: 'trust it again, once it has another key' },
    json: { type: 'boolean', about: 'what was done as JSON' },
  },
  async run({ values, positionals }, terminal) {
    const [name = ''] = positionals;
    if (values.as === undefined) throw new CommandFailed(exitCodes.usage, 'postern workload compromised NAME --as WHO');
    const state = readDevelopmentState(terminal.folder);
    const subject = subjectOf(values.as, state);
    const postern = openPostern(state, subject.workload);
    try {
      const held = await subjectToken(state, subject, postern);
      const asked = { subjectToken: held, audience: 'token-exchange', scopes: ['tokens:revoke'] };
      const { accessToken: token } = await postern.exchange(asked);
      const url = new URL(
        `/v1/workloads/${encodeURIComponent(name)}/compromise`,
        state.urls['token-exchange']?.api ?? '',
      );
      const request = values.again
        ? { method: 'DELETE' as const }
        : {
            method: 'POST' as const,
            body: JSON.stringify(values.reason === undefined ? {} : { reason: values.reason }),
          };
      const headers = { 'content-type': 'application/json' };
      const { status, body } = await postern.fetch(url, { ...request, headers, token });
      if (status >= 300 || values.json) terminal.out(body);
      else if (values.again) terminal.out(`${name} is trusted again; what was revoked stays so`);
      else for (const line of linesOf(JSON.parse(body) as Done)) terminal.out(line);
      return status < 300 ? exitCodes.done : exitCodes.refused;
    } finally {
      await postern.close();
    }
  },
});

type Done = {
  workload: string;
  client: string;
  tokensRevokedBefore: string;
  tokens: number;
  log: 'closed' | 'none' | 'waiting';
  remaining: string[];
};

const logs = {
  closed: 'its log is closed: audit-sink takes nothing more under its old certificates',
  none: 'it writes no log of its own',
  waiting: 'its log is not closed yet: audit-sink does not answer, and is asked until it does',
};
const left: Record<string, string> = {
  certificate: 'to do: revoke its certificate at the CA, and issue another',
  realm_client: 'to do: disable its client at the identity provider',
};

const linesOf = ({ workload, client, tokensRevokedBefore, tokens, log, remaining }: Done): string[] => [
  `${workload} gets nothing any more (client ${client})`,
  `tokens issued before ${tokensRevokedBefore} are refused everywhere; ${tokens} of them were alive`,
  logs[log],
  ...remaining.map((one) => left[one] ?? `to do: ${one}`),
];
