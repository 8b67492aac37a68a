import { readFileSync } from 'node:fs';
import { parse } from 'yaml';

/** The subset of a compose service that this project's file uses. */
export type ComposeService = {
  image: string;
  build?: { context: string; dockerfile: string; args: { SERVICE: string } };
  command?: string[];
  entrypoint?: string[];
  environment?: Record<string, string>;
  volumes?: string[];
  configs?: { source: string; target: string }[];
  ports?: string[];
  networks: string[] | Record<string, { aliases: string[] }>;
  depends_on?: Record<string, { condition: string }>;
  user?: string;
  read_only?: boolean;
};
export type ComposeFile = {
  name: string;
  services: Record<string, ComposeService>;
  volumes: Record<string, unknown>;
  configs: Record<string, { file: string }>;
};

/** Reads a compose file as the engine would: anchors and merges resolved, variables filled in. @throws naming a variable that is required and absent */
export function readComposeFile(path: string, variables: Record<string, string>): ComposeFile {
  const text = readFileSync(path, 'utf8').replaceAll(
    /\$(\$|\{(\w+):\?[^}]*\})/g,
    (_whole, form: string, name: string) => {
      if (form === '$') return '$';
      const value = variables[name];
      if (value === undefined) throw new Error(`${name} is required`);
      return value;
    },
  );
  return parse(text, { merge: true }) as ComposeFile;
}

/** `NAME=value` lines. */
export const readVariables = (path: string): Record<string, string> =>
  Object.fromEntries(
    [...readFileSync(path, 'utf8').matchAll(/^(\w+)=(.*)$/gm)].map(([, name, value]) => [name, value]),
  );
