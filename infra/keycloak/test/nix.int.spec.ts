import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { profileNames, profiles } from '@postern/profile';
import { describeWith, realPart } from '@postern/testing';
import { installedProgram } from '@postern/testing/debian';
import { keycloakDistribution } from '@postern/testing/keycloak';

import { outputs, readDocument } from '../src/index.ts';
import { designedOptions } from './nix/designed-options.ts';
import { modules, openNixWorld, run, type Machine, type NixWorld } from './nix/nix-world.ts';

const SERVER_MS = 400_000;

const nix = await realPart('Nix', () => installedProgram('nix-instantiate', { of: 'nix-bin' }));
const distribution = await realPart('Keycloak 26', keycloakDistribution);

describeWith(nix, 'the NixOS modules, evaluated', (program) => {
  let world: NixWorld;
  beforeAll(() => {
    world = openNixWorld(program);
  });
  afterAll(() => world?.close());

  test('each option of section 3.2 is there with its default, and none takes a value of another type', async () => {
    const { options, accepted } = await world.evaluated<{
      options: { name: string; default?: unknown }[];
      accepted: string[];
    }>(`import ${modules}/check/options.nix`);
    const there = Object.fromEntries(options.map((option) => [option.name, option.default]));
    expect(there).toMatchObject(designedOptions);
    expect(Object.keys(designedOptions).filter((name) => !(name in there))).toEqual([]);
    expect(accepted).toEqual([]);
  });

  test('the figures of the profiles are those of libs/profile', async () => {
    for (const name of profileNames) {
      const profile = profiles[name];
      expect(await world.evaluated(`import ${modules}/realms/${name}.nix`)).toEqual({
        sessionIdleTimeout: profile.sessionIdleMinutes,
        sessionMaxLifespan: profile.sessionMaxMinutes,
        accessTokenLifespan: profile.accessTokenMinutes,
        passwordMinLength: profile.passwordMinLength,
        bruteForceMaxAttempts: profile.lockoutAttempts,
        bruteForceLockoutDuration: profile.lockoutMinutes,
        requireMFA: profile.requireMfa,
      });
    }
  });

  test('the templates of clients are clients that a machine takes', async () => {
    const of = (file: string, more = '') =>
      `import ${modules}/clients/${file}.nix { realm = "x"; clientId = "${file}"; ${more} }`;
    const clients = `{
      web = ${of('web-app', 'redirectUris = [ "https://a.example/callback" ];')};
      api = ${of('api-service')};
      cli = ${of('cli-tool')};
    }`;
    expect((await world.machineOf(`{ clients = ${clients}; waivers = [ ]; }`)).failed).toEqual([]);
    expect(await world.evaluated(`builtins.mapAttrs (_: client: client.type) ${clients}`)).toEqual({
      web: 'confidential',
      api: 'bearer-only',
      cli: 'public',
    });
  });

  test('an option that there is not, a realm weaker than its profile, a client of no realm: none of them builds', async () => {
    await expect(world.machineOf('{ hostnames = "x"; }')).rejects.toThrow(
      'postern.keycloak.hostnames: there is no such option',
    );
    await expect(world.machineOf('{ tls.keyFile = /etc/key.pem; }')).rejects.toThrow('postern.keycloak.tls.keyFile');
    const weak = await world.machineOf(
      '{ realms.x.passwordMinLength = 8; clients.c = { realm = "y"; clientId = "c"; }; }',
    );
    expect(weak.failed).toEqual([
      'postern.keycloak.realms.x.passwordMinLength: fedramp-moderate asks for at least 12',
      'postern.keycloak.clients.c.realm: there is no realm y',
    ]);
    const waived = await world.machineOf('{ realms.x.passwordMinLength = 8; waivers = [ "x.passwordMinLength" ]; }');
    expect(waived.failed).toEqual([]);
    expect((await world.machineOf('{ security.provider = "aws-lc-fips"; }')).failed).toHaveLength(1);
    expect((await world.machineOf('{ database.host = "db.example"; }')).failed).toEqual([
      expect.stringContaining('firewall.egress'),
    ]);
  });

  test('embedded: one machine, its database behind TLS, nothing open but 443', async () => {
    const { failed, config } = await world.machine('fedramp-low', 'myapp');
    expect(failed).toEqual([]);
    expect(config.networking.firewall.allowedTCPPorts).toEqual([443]);
    expect(config.services.postgresql).toMatchObject({ enable: true, settings: { ssl: true } });
    expect(config.services.postgresql?.authentication).toContain('host keycloak all all reject');
    expect(config.systemd.timers).toHaveProperty('keycloak-backup.timerConfig.OnCalendar');
    expect(config.boot.kernelParams).toBeUndefined();
    expect(Object.keys(config.age?.secrets ?? {}).sort()).toEqual([
      'keycloak-admin-password',
      'keycloak-db-password',
      'myapp-web-client-secret',
    ]);
    expect(config.age?.secrets['myapp-web-client-secret']).toMatchObject({
      file: join(world.folder, 'fedramp-low/secrets/myapp-web.age'),
      mode: '0400',
    });
  });

  test('dedicated, high: FIPS, the database by client certificate, roles and certificates by the agent, timers', async () => {
    const { failed, config } = await world.machine('keycloak-standalone', 'keycloak');
    expect(failed).toEqual([]);
    expect(config.boot.kernelParams).toEqual(['fips=1']);
    expect(config.sops?.secrets['keycloak-db-password']?.key).toBe('keycloak_db');
    expect(config.services.keycloak.settings).toMatchObject({ 'fips-mode': 'strict', features: 'fips' });
    expect(config.services.keycloak.plugins).toHaveLength(4);
    expect(config.services.postgresql?.authentication).toContain('clientcert=verify-full');
    expect(config.services['vault-agent']?.instances.keycloak.settings.template[0]?.contents).toContain('pkiCert');
    expect(Object.keys(config.systemd.timers).sort()).toEqual([
      'keycloak-backup',
      'keycloak-health',
      'keycloak-rotate-keys',
    ]);
    expect(config.services.nginx.virtualHosts['auth.myorg.example']?.locations['/admin/']?.extraConfig).toContain(
      'allow 10.0.9.0/24;\n',
    );
  });

  test('a database password of its own has a timer, which starts the server anew; where the agent gives roles it does not build', async () => {
    const rotation =
      'rotation = { documentDirectory = "/etc/postern"; databaseUrlFile = "/run/secrets/url"; }; database.usernameFile = "/var/lib/keycloak-db/role";';
    const { failed, config } = await world.machineOf(`{ ${rotation} }`);
    expect(failed).toEqual([]);
    expect(config.systemd.timers).toHaveProperty(
      ['keycloak-rotate-database-password', 'timerConfig', 'Persistent'],
      true,
    );
    const service = config.systemd.services['keycloak-rotate-database-password'];
    expect(service?.serviceConfig).toMatchObject({
      EnvironmentFile: '/run/secrets/url',
      ReadWritePaths: ['/etc/postern', '/var/lib/keycloak-db', '/run/secrets'],
    });
    expect(service?.script).toContain('postern keycloak database rotate-password --when-older-than 90');
    await expect(run('sh', ['-n', '-c', service?.script ?? 'if'])).resolves.toBeDefined();
    const agent = 'vault = { enable = true; roleIdFile = "/r"; secretIdFile = "/s"; };';
    expect((await world.machineOf(`{ ${rotation} ${agent} }`)).failed).toEqual([
      expect.stringContaining('databaseUrlFile'),
    ]);
  });

  test('cluster: three machines, no database of their own, links between them and to the database alone', async () => {
    for (const name of ['keycloak-1', 'keycloak-2', 'keycloak-3']) {
      const { failed, config } = await world.machine('keycloak-ha', name);
      expect(failed).toEqual([]);
      expect(config.services).not.toHaveProperty('postgresql.enable');
      expect(config.services.keycloak.settings).toMatchObject({
        cache: 'ispn',
        'cache-embedded-mtls-enabled': true,
        'spi-cache-embedded--default--sessions-owners': 2,
        'db-url': expect.stringMatching(/sslmode=verify-full&sslrootcert=.*&sslcert=.*&sslkey=/),
      });
      const egress = config.networking.nftables.tables['postern-egress']?.content ?? '';
      expect(egress).toContain('ip daddr 10.0.5.10 tcp dport 5432 accept');
      expect(egress.trim().split('\n').at(-2)?.trim()).toBe('log prefix "postern-egress " counter drop');
    }
  });

  test('a compiled realm and the options beside it say the same, or nothing builds', async () => {
    const at = world.generated('keycloak-ha');
    const file = join(at, 'generated', 'keycloak.nix');
    const text = readFileSync(file, 'utf8');
    writeFileSync(file, text.replace('sessionIdleTimeout = 10', 'sessionIdleTimeout = 9'));
    const { failed } = await world.evaluated<Machine>(
      world.shown(`(import ${modules}/check/machines.nix ${at}).nixosConfigurations.keycloak-1`),
    );
    expect(failed).toEqual(['postern.keycloak.realms.myorg.sessionIdleTimeout: is not what its compiled realm says']);
  });

  test('the server is sandboxed, listens on the loopback only, and a client cannot say which certificate it showed', async () => {
    const { config } = await world.machineOf('{ }');
    expect(config.systemd.services['keycloak']?.serviceConfig).toMatchObject({
      NoNewPrivileges: true,
      ProtectSystem: 'strict',
      CapabilityBoundingSet: '',
      PrivateDevices: true,
      RestrictNamespaces: true,
      DynamicUser: false,
    });
    expect(config.services.keycloak.settings).toMatchObject({ 'http-host': '127.0.0.1', 'http-enabled': false });
    const locations = config.services.nginx.virtualHosts['a.example']?.locations ?? {};
    for (const [path, { extraConfig }] of Object.entries(locations))
      if (path !== '/') expect(extraConfig).toContain('proxy_set_header ssl-client-cert $ssl_client_escaped_cert;');
    const without = await world.machineOf('{ tls.enableMTLS = false; }');
    expect(without.config.services.nginx.virtualHosts['a.example']?.locations['/realms/']?.extraConfig).toContain(
      'proxy_set_header ssl-client-cert "";',
    );
    expect(config.boot.kernel.sysctl).toMatchObject({ 'kernel.randomize_va_space': 2, 'fs.suid_dumpable': 0 });
  });

  test('hostile texts come out of Nix as they went in: nothing is interpolated, read or run', async () => {
    const texts = [
      '${builtins.readFile /etc/passwd}',
      "'' ''${x} ${throw \"no\"}",
      '"; enable = false; x = "',
      '\\${x} \\" \\n $${y} $',
      '# /* */ ; { } [ ]',
      'ünïcode \u2028 🗝️ \u202e',
    ];
    for (const text of texts) {
      const document = readDocument(
        `[app]\nname = "myapp"\nprofile = "fedramp-low"\n[keycloak]\nhostname = "a.example"\nfips_mode = false\n[keycloak.realm.myapp]\ndisplay_name = ${JSON.stringify(text)}\n[keycloak.client.web]\ntype = "public"\nname = ${JSON.stringify(text)}\nredirect_uris = ["https://a.example/c"]\n`,
        { file: 'postern.toml', now: new Date() },
      );
      const [module] = outputs.nix(document);
      const file = join(world.folder, 'hostile.nix');
      writeFileSync(file, module?.text ?? '');
      expect(
        await world.evaluated(
          `let k = (import ${modules}/check/evaluate.nix [ ${modules} ${file} ]).config.postern.keycloak; in [ k.realms.myapp.displayName k.clients.web.name k.enable ]`,
        ),
      ).toEqual([text, text, true]);
    }
  });

  test.each(['flake.nix', 'tests/keycloak-test.nix'])('%s, which needs nixpkgs, is Nix', async (file) => {
    await expect(run(program, ['--parse', join(modules, file)])).resolves.toBeDefined();
  });

  describeWith(distribution, 'and the real server', (home) => {
    test(
      'each setting is an option that it has',
      async () => {
        const dedicated = await world.machine('keycloak-standalone', 'keycloak');
        const cluster = await world.machine('keycloak-ha', 'keycloak-1');
        const { stdout } = await run(join(home, 'bin/kc.sh'), ['start', '--help-all'], {
          env: { ...process.env, JAVA_OPTS_APPEND: '-XX:TieredStopAtLevel=1' },
        });
        const known = new Set([...stdout.matchAll(/--([a-z][a-z-]+)/g)].map(([, name]) => name));
        const names = [dedicated, cluster].flatMap(({ config }) => Object.keys(config.services.keycloak.settings));
        expect(names.filter((name) => !name.startsWith('spi-') && !known.has(name))).toEqual([]);
      },
      SERVER_MS,
    );
  });
});
