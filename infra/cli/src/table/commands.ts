import { entry, type Entry } from './command.ts';

/**
 * Every command, in the order of the list. A new one is a file in `commands/` that exports `command`, and a line here;
 * the file is loaded when its command runs, so that no command pays for another's libraries.
 */
export const commands: readonly Entry[] = [
  entry('call', 'call a service over mTLS', () => import('../commands/call.ts')),
  entry('token', 'a token of the development stack', () => import('../commands/token.ts')),
  entry('audit verify', "check an event's receipt, offline", () => import('../commands/audit-verify.ts')),
  entry(
    'aws bootstrap',
    'what the aws-kms root key needs in an AWS account',
    () => import('../commands/aws-bootstrap.ts'),
  ),
  entry('import kv', 'a KV v2 mount of Vault or OpenBao into crypto-store', () => import('../commands/import-kv.ts')),
  entry('completion', 'the completion script of a shell', () => import('../commands/completion.ts')),
];
