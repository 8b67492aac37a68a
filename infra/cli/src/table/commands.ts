import { entry, type Entry } from './command.ts';

/** Commands that belong together, as the list shows them. */
export type Section = { title: string; entries: readonly Entry[] };

/**
 * Every command, in the order of the list. A new one is a file in `commands/` that exports `command`, and a line here;
 * the file is loaded when its command runs, so that no command pays for another's libraries.
 */
export const sections: readonly Section[] = [
  {
    title: 'Services',
    entries: [
      entry('call', 'call a service over mTLS', () => import('../commands/call.ts')),
      entry('token', 'a token of the development stack', () => import('../commands/token.ts')),
      entry('doctor', 'what is wrong with the services, and what to do', () => import('../commands/doctor.ts')),
      entry(
        'audit verify',
        'verify a receipt, an export, a published log, or the live log',
        () => import('../commands/audit-verify.ts'),
      ),
      entry(
        'secrets run',
        'a program with secrets in its environment or files',
        () => import('../commands/secrets-run.ts'),
      ),
      entry(
        'import kv',
        'a KV v2 mount of Vault or OpenBao into crypto-store',
        () => import('../commands/import-kv.ts'),
      ),
      entry(
        'import auth-vault',
        'tokens of an auth_vault table into auth-manager',
        () => import('../commands/import-auth-vault.ts'),
      ),
      entry('backup', "the services' databases, in a folder", () => import('../commands/backup.ts')),
      entry('restore', "the services' databases as a backup has them", () => import('../commands/restore.ts')),
    ],
  },
  {
    title: 'Trust',
    entries: [
      entry('policy check', 'hold a policy document to its expectations', () => import('../commands/policy-check.ts')),
      entry(
        'policy hash-secret',
        'what a policy holds of a client secret',
        () => import('../commands/policy-hash-secret.ts'),
      ),
      entry('break-glass', 'an emergency token, by two people', () => import('../commands/break-glass.ts')),
      entry(
        'workload compromised',
        'end the trust in a workload, everywhere',
        () => import('../commands/workload-compromised.ts'),
      ),
      entry(
        'aws bootstrap',
        'what the aws-kms root key needs in an AWS account',
        () => import('../commands/aws-bootstrap.ts'),
      ),
    ],
  },
  {
    title: 'The document, postern.toml',
    entries: [
      entry('validate', 'check postern.toml', () => import('../commands/keycloak-validate.ts')),
      entry('show-config', 'every effective value and its origin', () => import('../commands/keycloak-show-config.ts')),
      entry('generate', "the document in another tool's words", () => import('../commands/generate.ts')),
      entry('keycloak validate', 'the same as postern validate', () => import('../commands/keycloak-validate.ts')),
      entry(
        'keycloak show-config',
        'the same as postern show-config',
        () => import('../commands/keycloak-show-config.ts'),
      ),
      entry(
        'keycloak realm create',
        'add a realm to the document',
        () => import('../commands/keycloak-realm-create.ts'),
      ),
      entry(
        'keycloak client create',
        'add a client to the document',
        () => import('../commands/keycloak-client-create.ts'),
      ),
      entry(
        'keycloak client export',
        "what a client's team needs",
        () => import('../commands/keycloak-client-export.ts'),
      ),
      entry('keycloak realm export', 'a realm as sorted JSON', () => import('../commands/keycloak-realm-export.ts')),
      entry(
        'keycloak init-secrets',
        'random secrets, sealed with age',
        () => import('../commands/keycloak-init-secrets.ts'),
      ),
    ],
  },
  {
    title: 'A running Keycloak',
    entries: [
      entry('apply', 'make a running Keycloak what the document says', () => import('../commands/apply.ts')),
      entry('verify', 'check every control on a running Keycloak', () => import('../commands/verify.ts')),
      entry('evidence', 'OSCAL and a report of a running Keycloak', () => import('../commands/evidence.ts')),
      entry('keycloak realm diff', 'how live realms differ', () => import('../commands/keycloak-realm-diff.ts')),
      entry('keycloak realm import', 'make realms from JSON', () => import('../commands/keycloak-realm-import.ts')),
      entry(
        'keycloak realm rotate-keys',
        'new signing keys, a step at a time',
        () => import('../commands/keycloak-realm-rotate-keys.ts'),
      ),
      entry(
        'keycloak client rotate-secret',
        'give clients new secrets',
        () => import('../commands/keycloak-client-rotate-secret.ts'),
      ),
      entry(
        'keycloak database rotate-password',
        'the other of two roles for the server, with a new password',
        () => import('../commands/keycloak-database-rotate-password.ts'),
      ),
      entry(
        'keycloak administrators create',
        'the first two, once',
        () => import('../commands/keycloak-administrators-create.ts'),
      ),
      entry('keycloak users import', "another provider's users", () => import('../commands/keycloak-users-import.ts')),
      entry('keycloak backup', 'realms as the server has them, sealed', () => import('../commands/keycloak-backup.ts')),
      entry('keycloak restore', 'make the realms of a backup', () => import('../commands/keycloak-restore.ts')),
    ],
  },
  {
    title: 'The shell',
    entries: [entry('completion', 'the completion script of a shell', () => import('../commands/completion.ts'))],
  },
];

export const commands: readonly Entry[] = sections.flatMap(({ entries }) => entries);
