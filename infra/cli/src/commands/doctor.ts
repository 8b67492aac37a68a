import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { type TlsIdentity } from '@postern/client';
import { painter } from '../colours.ts';
import { identityOf, readDevelopmentState } from '../development-state.ts';
import { supportBundle } from '../doctor/bundle.ts';
import { examine, type Patient } from '../doctor/examine.ts';
import { reportOf } from '../doctor/report.ts';
import { CommandFailed, exitCodes, type Terminal } from '../outcome.ts';
import { defineCommand } from '../table/command.ts';
import { textOf } from '../text-of.ts';

export const command = defineCommand({
  about: `Looks at every service and says what is wrong and what to do: parts (database, bus, cache, keys, provider, audit, revocations), clocks,
certificates, lag of the log, publication, root keys, forwarding, versions. Without --management: the development stack.`,
  options: {
    management: { type: 'string', multiple: true, value: 'NAME=URL', about: 'a service and its management listener' },
    api: {
      type: 'string',
      multiple: true,
      value: 'NAME=URL',
      about: 'a service and a TLS listener of it, whose certificate is looked at',
    },
    cert: { type: 'string', value: 'FILE', about: 'with --management: a client certificate for the api listeners' },
    key: { type: 'string', value: 'FILE', about: 'its private key' },
    ca: { type: 'string', value: 'FILE', about: 'the authority of the services' },
    bundle: { type: 'string', value: 'FILE', about: 'writes what was seen, for who helps: nothing in it is secret' },
    json: { type: 'boolean', about: 'the findings as JSON' },
  },
  async run({ values }, terminal) {
    const { patients, identity } = values.management.length === 0 ? fromDevelopment(terminal) : given(values, terminal);
    const seen = await examine(patients, identity);
    if (values.bundle !== undefined) {
      writeFileSync(resolve(terminal.folder, values.bundle), supportBundle(seen, new Date()), { mode: 0o600 });
    }
    if (values.json) terminal.out(JSON.stringify(seen.findings));
    else for (const line of reportOf(seen.findings, painter(terminal, 'out'))) terminal.out(line);
    return seen.findings.some(({ level }) => level === 'problem') ? exitCodes.refused : exitCodes.done;
  },
});

/** The others have no public routes, and do not listen there. */
const withPublicRoutes = new Set(['token-exchange', 'auth-manager', 'key-proxy']);

type Examined = { patients: Patient[]; identity: TlsIdentity };

function fromDevelopment(terminal: Terminal): Examined {
  const state = readDevelopmentState(terminal.folder);
  const patients = Object.entries(state.urls).map(([name, { api, public: ownPublic, management }]) => ({
    name,
    management,
    listeners: withPublicRoutes.has(name) ? [api, ownPublic] : [api],
  }));
  return { patients, identity: identityOf(state, 'operator') };
}

function given(
  values: {
    management: string[];
    api: string[];
    cert: string | undefined;
    key: string | undefined;
    ca: string | undefined;
  },
  terminal: Terminal,
): Examined {
  const listeners = values.api.map(pair);
  const { cert, key, ca } = values;
  if (listeners.length > 0 && (cert === undefined || key === undefined || ca === undefined)) {
    throw new CommandFailed(exitCodes.usage, '--api needs --cert, --key and --ca');
  }
  const text = (file: string | undefined) => (file === undefined ? '' : textOf(file, terminal));
  return {
    patients: values.management.map(pair).map(([name, management]) => ({
      name,
      management,
      listeners: listeners.filter(([other]) => other === name).map(([, url]) => url),
    })),
    identity: { cert: text(cert), key: text(key), ca: text(ca) },
  };
}

function pair(text: string): [name: string, url: string] {
  const [, name = '', url = ''] = /^([a-z][a-z-]*)=(https?:\/\/\S+)$/.exec(text) ?? [];
  if (name === '' || !URL.canParse(url)) throw new CommandFailed(exitCodes.usage, `${text}: NAME=URL is wanted`);
  return [name, url];
}
