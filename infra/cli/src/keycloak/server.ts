import {
  type KeycloakAdmin,
  KeycloakRefused,
  KeycloakUnreachable,
  openKeycloakAdmin,
  type PosternDocument,
} from '@postern/keycloak';
import { CommandFailed, exitCodes, type Terminal } from '../outcome.ts';
import { type Option } from '../table/command.ts';
import { textOf } from '../text-of.ts';
import { resolveSecret } from './secrets.ts';

/** The options of every command that talks to a running Keycloak. */
export const serverOptions = {
  url: {
    type: 'string',
    value: 'URL',
    about: "the server's origin; https:// and the document's hostname unless given",
  },
  ca: { type: 'string', value: 'FILE', about: 'the authority that its certificate must come from (PEM)' },
  username: {
    type: 'string',
    value: 'NAME',
    about:
      "the administrator; the document's unless given. The password is read from KEYCLOAK_ADMIN_PASSWORD, or from the document's reference",
  },
} as const satisfies Record<string, Option>;

type Values = { url: string | undefined; ca: string | undefined; username: string | undefined };

async function passwordOf(document: PosternDocument | undefined, terminal: Terminal): Promise<string> {
  const given = terminal.environment['KEYCLOAK_ADMIN_PASSWORD'];
  if (given) return given;
  const { keycloak, secrets } = document?.document ?? {};
  const reference =
    keycloak?.secrets?.admin_password ??
    secrets?.keycloak_admin_password ??
    (keycloak?.admin.password_file ? `file:${keycloak.admin.password_file}` : undefined);
  if (!reference)
    throw new CommandFailed(
      exitCodes.configuration,
      "KEYCLOAK_ADMIN_PASSWORD is not set, and the document has no reference to the administrator's password",
    );
  return resolveSecret(reference, document, terminal);
}

/** Runs `work` with the administration of a server. A refusal ends with 1, silence with 69. */
export async function withServer<T>(
  values: Values,
  document: PosternDocument | undefined,
  terminal: Terminal,
  work: (admin: KeycloakAdmin, url: string) => Promise<T>,
): Promise<T> {
  const hostname = document?.document.keycloak?.hostname;
  const url = values.url ?? (hostname ? `https://${hostname}` : undefined);
  if (!url || !URL.canParse(url))
    throw new CommandFailed(exitCodes.usage, '--url says which server: https://HOST[:PORT]');
  if (!url.startsWith('https://'))
    throw new CommandFailed(exitCodes.usage, "--url begins with https://: the administrator's password goes there");
  const admin = openKeycloakAdmin({
    url: new URL(url).origin,
    ...(values.ca ? { ca: textOf(values.ca, terminal) } : {}),
    username: values.username ?? document?.document.keycloak?.admin.username ?? 'admin',
    password: await passwordOf(document, terminal),
  });
  try {
    return await work(admin, new URL(url).origin);
  } catch (error) {
    if (error instanceof KeycloakRefused) throw new CommandFailed(exitCodes.refused, error.message);
    if (error instanceof KeycloakUnreachable) throw new CommandFailed(exitCodes.unreachable, error.message);
    throw error;
  } finally {
    await admin.close();
  }
}
