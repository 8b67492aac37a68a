import { parseArgs } from 'node:util';

import { isService, services, type Service } from './services.ts';

export type Arguments = { once: boolean; idp: 'development' | 'keycloak'; home?: string; watch?: Service };

export const usage = `npm start [-- --once] [-- --idp keycloak]
npm run dev -- SERVICE        restarts SERVICE on each save (${services.join(', ')})

  --once            play the tour and leave: exit code 0, or 1 naming the step that failed
  --home DIR        keep data, certificates and logs there instead of in .postern
  --idp keycloak    the real Keycloak 26 in place of the development identity provider (needs Maven and a JDK 17 or later)`;

/** @throws an Error whose message says what is wrong and how it should be */
export function parseArguments(argv: string[], command: 'start' | 'dev'): Arguments {
  const { values, positionals } = wordsOf(argv);
  if (values.idp !== 'development' && values.idp !== 'keycloak') {
    throw new Error(`--idp is development or keycloak\n\n${usage}`);
  }
  const [watch, ...rest] = positionals;
  if (command === 'dev' && (watch === undefined || !isService(watch))) throw new Error(`which service?\n\n${usage}`);
  if (rest.length > 0 || (command === 'start' && watch !== undefined)) throw new Error(usage);
  return {
    once: values.once,
    idp: values.idp,
    ...(values.home === undefined ? {} : { home: values.home }),
    ...(watch && isService(watch) ? { watch } : {}),
  };
}

function wordsOf(argv: string[]) {
  try {
    return parseArgs({
      // `npm start -- --idp keycloak -- --once` hands the second `--` through; it separates nothing here.
      args: argv.filter((word) => word !== '--'),
      allowPositionals: true,
      options: {
        once: { type: 'boolean', default: false },
        idp: { type: 'string', default: 'development' },
        home: { type: 'string' },
      },
    });
  } catch (error) {
    throw new Error(`${(error as Error).message}\n\n${usage}`, { cause: error });
  }
}
