import {
  applyPlan,
  compileRealm,
  modelsOf,
  openKeycloakAdmin,
  planRealm,
  readDocument,
  type RealmRepresentation,
} from '@postern/keycloak';
import { developmentCa } from '@postern/testing';
import { startKeycloak } from '@postern/testing/keycloak';

import { type Case } from '../measure.ts';

const REALMS = 100;
const CLIENTS = 1_000;
/** What Keycloak is given to import: the time grows with the square, and one of 1,000 clients passes its limit of 300 s. */
const SERVED_CLIENTS = 200;

/** A document of one realm with many clients, four kinds in turn. */
const documentText = (realm: string, count: number): string => {
  const kinds = [
    'kind = "worker"',
    'redirect_uris = ["https://app.example/callback"]',
    'type = "public"\nredirect_uris = ["https://app.example/callback"]',
    'type = "public"\nkind = "cli-tool"',
  ];
  const clients = Array.from(
    { length: count },
    (_, at) => `[keycloak.client.client-${at}]\n${kinds[at % kinds.length]}\n`,
  );
  return `[app]\nname = "bench"\n[keycloak]\nhostname = "auth.bench.example"\n[keycloak.observability]\nenable = false\n[keycloak.realm.${realm}]\n${clients.join('\n')}`;
};

const modelOf = (realm: string, count = SERVED_CLIENTS) => {
  const [model] = modelsOf(readDocument(documentText(realm, count), { file: 'bench.toml', now: new Date() }));
  if (!model) throw new Error('no realm');
  return model;
};

const seconds = async (work: () => unknown): Promise<number> => {
  const before = performance.now();
  await work();
  return (performance.now() - before) / 1000;
};

/** A real Keycloak, and a way to import a realm anew. */
async function openServer() {
  const tls = await developmentCa().issue('identity-provider');
  const keycloak = await startKeycloak({ tls, realms: [] });
  const admin = openKeycloakAdmin({ url: keycloak.url, ca: tls.ca, ...keycloak.administrator });
  let measured: Promise<number> | undefined;
  const gone = async (realm: string) => {
    if (await admin.find(`/${realm}`)) await admin.delete(`/${realm}`);
    admin.renew();
  };
  return {
    admin,
    /** An import takes minutes: it is measured once, and stands for every round. */
    importOnce: (realm: RealmRepresentation): Promise<number> =>
      (measured ??= (async () => {
        await gone(realm.realm);
        return seconds(() => admin.post('', realm));
      })()),
    close: async () => {
      await admin.close();
      await keycloak.close();
    },
  };
}

export const compile: Case = {
  name: 'keycloak/compile',
  unit: `seconds: ${REALMS} realms of ${CLIENTS} clients compiled, one of ${SERVED_CLIENTS} imported`,
  against: "Keycloak's JSON import",
  goal: { atMost: 1 },
  prepare: async () => {
    const server = await openServer();
    const models = Array.from({ length: REALMS }, (_, at) => ({ ...modelOf('bench', CLIENTS), name: `bench-${at}` }));
    const one = compileRealm(modelOf('peer'));
    return {
      ours: () => seconds(() => models.forEach(compileRealm)),
      peer: () => server.importOnce(one),
      close: server.close,
    };
  },
};

export const plan: Case = {
  name: 'keycloak/plan',
  unit: `seconds: a plan of ${CLIENTS} clients, an import of ${SERVED_CLIENTS}`,
  against: "Keycloak's own full import",
  goal: { atMost: 0.2 },
  prepare: async () => {
    const server = await openServer();
    const wanted = compileRealm(modelOf('planned', CLIENTS));
    const other = compileRealm(modelOf('peer'));
    await applyPlan(server.admin, await planRealm(server.admin, wanted));
    return {
      ours: () =>
        seconds(async () => {
          const before = server.admin.writes();
          const found = await planRealm(server.admin, wanted);
          await applyPlan(server.admin, found);
          if (found.steps.length > 0 || server.admin.writes() !== before)
            throw new Error('an unchanged realm was written');
        }),
      peer: () => server.importOnce(other),
      close: server.close,
    };
  },
};
