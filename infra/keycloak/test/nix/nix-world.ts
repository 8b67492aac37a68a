import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

import { outputs, readDocument } from '../../src/index.ts';

export const run = promisify(execFile);
export const modules = join(import.meta.dirname, '../../nix');
const examples = join(import.meta.dirname, '../../examples');

export type Machine = {
  failed: string[];
  config: {
    services: {
      keycloak: { settings: Record<string, unknown>; plugins?: unknown[] };
      nginx: { virtualHosts: Record<string, { locations: Record<string, { extraConfig?: string }> }> };
      postgresql?: { authentication: string };
      'vault-agent'?: { instances: { keycloak: { settings: { template: { contents: string }[] } } } };
    };
    systemd: { services: Record<string, { serviceConfig?: object; script?: string }>; timers: Record<string, unknown> };
    networking: { firewall: { allowedTCPPorts: number[] }; nftables: { tables: Record<string, { content: string }> } };
    boot: { kernel: { sysctl: Record<string, number> }; kernelParams?: string[] };
    age?: { secrets: Record<string, { file: string; mode: string }> };
    sops?: { secrets: Record<string, { sopsFile: string; key: string }> };
  };
};

export type NixWorld = ReturnType<typeof openNixWorld>;

/** Modules and examples as Nix evaluates them, in a folder of its own. */
export function openNixWorld(program: string) {
  const folder = mkdtempSync(join(tmpdir(), 'postern-nix-'));
  /** Evaluates without a store: nothing is built or fetched. @throws Error with what Nix says */
  async function evaluated<T>(expression: string): Promise<T> {
    const options = ['--store', 'dummy://', '--eval', '--strict', '--json', '--expr', expression];
    const { stdout } = await run(program, options, { maxBuffer: 32 * 1024 * 1024 });
    return JSON.parse(stdout) as T;
  }
  // A path shown as itself: JSON would ask for it in a store, and here is none.
  const shown = (machine: string) => `(
    let
      m = ${machine};
      plain = value:
        if builtins.isPath value then toString value
        else if builtins.isList value then map plain value
        else if builtins.isAttrs value then builtins.mapAttrs (_: plain) value
        else value;
    in plain { inherit (m) failed config; })`;
  const machineOf = (settings: string) =>
    evaluated<Machine>(
      shown(
        `import ${modules}/check/evaluate.nix [ ${modules} { postern.keycloak = { enable = true; hostname = "a.example"; backup.enable = false;
          database.passwordFile = "/run/secrets/d"; adminUser.passwordFile = "/run/secrets/a";
          tls = { certificateFile = "/c.pem"; keyFile = "/k.pem"; caFile = "/ca.pem"; };
          realms.x = { name = "x"; displayName = "X"; }; }; } { postern.keycloak = ${settings}; } ]`,
      ),
    );
  /** The generated folder of an example, beside its flake. */
  function generated(example: string): string {
    const at = join(folder, example);
    const text = readFileSync(join(examples, example, 'postern.toml'), 'utf8');
    const document = readDocument(text, { file: 'postern.toml', now: new Date() });
    for (const file of outputs.nix(document)) {
      const path = join(at, 'generated', file.path);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, file.text);
    }
    writeFileSync(join(at, 'flake.nix'), readFileSync(join(examples, example, 'flake.nix')));
    return at;
  }
  const machinesOf = (example: string) => `(import ${modules}/check/machines.nix ${generated(example)})`;
  const machine = (example: string, name: string) =>
    evaluated<Machine>(shown(`${machinesOf(example)}.nixosConfigurations.${name}`));
  const close = () => rmSync(folder, { recursive: true, force: true });
  return { folder, evaluated, shown, machineOf, generated, machine, close };
}
