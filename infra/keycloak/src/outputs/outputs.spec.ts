import { execFileSync } from 'node:child_process';
import { stripTypeScriptTypes } from 'node:module';

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parse as parseYaml } from 'yaml';

import { readDocument } from '../document/read-document.ts';
import { outputKinds, outputs } from './index.ts';
import { nix, shellWord, yaml } from './quote.ts';

const hostile = [
  `"; rm -rf / #`,
  `'; touch /tmp/owned; '`,
  '$(touch /tmp/owned) `id` ${HOME} $HOME',
  "${builtins.readFile /etc/passwd} '' ''${x}",
  '{"realm":"master"} }],',
  '- key: value # comment : & * ! | > % @',
  '\u2028\u2029\u0085\ufeff\u00a0\u202e ünïcode 🗝️',
  '\\" \\n \\u0041 \\\\',
  '</script><!-- */ //',
  '{{ .Values.x }} ${{ secrets.X }} %{x} #{x}',
  'null',
  'yes',
  '0x10',
  '=cmd|x',
];
const anyText = fc.oneof(
  fc.constantFrom(...hostile),
  fc.string({ unit: 'grapheme', maxLength: 60 }),
  fc.string({ unit: 'binary', maxLength: 60 }),
);
const isWellFormed = (text: string) => (text as unknown as { isWellFormed(): boolean }).isWellFormed();
/** What the schema takes as a text: one line, no control characters. */
const oneLine = anyText.filter((text) => /^[^\u0000-\u001f\u007f]{1,255}$/u.test(text) && isWellFormed(text));

const documentWith = (text: string) =>
  readDocument(
    `[app]\nname = "myapp"\n[keycloak]\nhostname = "auth.myapp.com"\n[keycloak.realm.myapp]\ndisplay_name = ${JSON.stringify(text)}\n` +
      `[keycloak.realm.myapp.scope."accounts:read"]\ndescription = ${JSON.stringify(text)}\n` +
      `[keycloak.client.web]\nname = ${JSON.stringify(text)}\nredirect_uris = ["https://myapp.com/callback"]\n`,
    { file: 'postern.toml', now: new Date() },
  );
const only = (kind: keyof typeof outputs, text: string) => outputs[kind](documentWith(text))[0]?.text ?? '';

/** Reads a Nix expression of literals back: strings, numbers, booleans, lists and sets. Interpolation is an error. */
function readNix(text: string): unknown {
  let at = 0;
  const space = () => (at += /^(?:\s|#[^\n]*\n)*/.exec(text.slice(at))?.[0].length ?? 0);
  const eat = (token: string) => {
    space();
    if (!text.startsWith(token, at)) throw new Error(`expected ${token} at ${at}`);
    at += token.length;
  };
  const string = (): string => {
    eat('"');
    let read = '';
    for (;;) {
      const one = text[at++];
      if (one === undefined) throw new Error('unfinished string');
      if (one === '"') return read;
      if (one === '$' && text[at] === '{') throw new Error('interpolation');
      if (one !== '\\') read += one;
      else {
        const escaped = text[at++] ?? '';
        read += { n: '\n', r: '\r', t: '\t' }[escaped] ?? escaped;
      }
    }
  };
  const value = (): unknown => {
    space();
    if (text[at] === '"') return string();
    if (text[at] === '[') {
      eat('[');
      const list: unknown[] = [];
      for (space(); text[at] !== ']'; space()) list.push(value());
      eat(']');
      return list;
    }
    if (text[at] === '{') {
      eat('{');
      const set: Record<string, unknown> = {};
      for (space(); text[at] !== '}'; space()) {
        const key = text[at] === '"' ? string() : (/^[A-Za-z_][\w'-]*/.exec(text.slice(at))?.[0] ?? '');
        if (text[at - 1] !== '"') at += key.length;
        eat('=');
        set[key] = value();
        eat(';');
      }
      eat('}');
      return set;
    }
    const word = /^(true|false|null|-?\d+)/.exec(text.slice(at))?.[0] ?? '';
    if (!word) throw new Error(`no value at ${at}: ${text.slice(at, at + 20)}`);
    at += word.length;
    return JSON.parse(word);
  };
  const read = value();
  space();
  if (at !== text.length) throw new Error(`more at ${at}`);
  return read;
}

describe('hostile texts come out inert, and as themselves', () => {
  test('realm JSON', () => {
    fc.assert(
      fc.property(oneLine, (text) => {
        const realm = JSON.parse(only('keycloak', text)) as { displayName: string; clients: { name: string }[] };
        expect(realm.displayName).toBe(text);
        expect(realm.clients[0]?.name).toBe(text);
      }),
      { numRuns: 60 },
    );
  });

  test('Nix: no interpolation, each string as it was', () => {
    fc.assert(
      fc.property(oneLine, (text) => {
        const module = only('nix', text);
        const options = module.slice(
          module.indexOf('postern.keycloak = ') + 'postern.keycloak = '.length,
          module.lastIndexOf(';\n}'),
        );
        expect(readNix(options)).toMatchObject({
          realms: { myapp: { displayName: text } },
          clients: { web: { name: text } },
        });
      }),
      { numRuns: 60 },
    );
    fc.assert(
      fc.property(
        anyText.filter((text) => text !== '__proto__'),
        (text) =>
          expect(readNix(nix({ [text]: [text, 1, true, null, {}] }))).toEqual({ [text]: [text, 1, true, null, {}] }),
      ),
    );
  });

  test('Helm values and compose files are the YAML that was meant', () => {
    fc.assert(
      fc.property(oneLine, (text) => {
        const values = parseYaml(only('helm', text)) as { realms: Record<string, string> };
        expect((JSON.parse(values.realms['realm-myapp.json'] ?? '') as { displayName: string }).displayName).toBe(text);
        expect(parseYaml(only('compose', text))).toMatchObject({ name: 'myapp-keycloak' });
      }),
      { numRuns: 40 },
    );
    const value = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 3 },
        anyText.filter(isWellFormed),
        fc.boolean(),
        fc.integer(),
        fc.constant(null),
        fc.array(tie('value'), { maxLength: 3 }),
        fc.dictionary(
          anyText.filter(isWellFormed).filter((key) => key !== '__proto__'),
          tie('value'),
          { maxKeys: 3, noNullPrototype: true },
        ),
      ),
    })).value;
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom('a', 'no', '1'), value, { noNullPrototype: true }), (one) =>
        expect(parseYaml(yaml(one))).toEqual(one),
      ),
    );
  });

  test('a shell reads each value back as it was, and runs nothing', () => {
    const samples = [...hostile, ...fc.sample(anyText, 40)].filter(
      (text) => !text.includes('\0') && isWellFormed(text),
    );
    for (const text of samples) {
      const read = execFileSync('sh', ['-c', `X=${shellWord(text)}; printf %s "$X"`], { encoding: 'utf8' });
      expect(read).toBe(text);
    }
  });

  test('TypeScript is a module of literals', async () => {
    for (const text of hostile.filter((one) => !/[\u0085]/.test(one))) {
      const code = stripTypeScriptTypes(only('typescript', text));
      const { keycloakClients } = (await import(`data:text/javascript,${encodeURIComponent(code)}`)) as {
        keycloakClients: Record<string, { clientId: string }>;
      };
      expect(keycloakClients['web']?.clientId).toBe('web');
    }
  });
});

test.each(outputKinds)('%s: the same document, the same bytes', (kind) => {
  expect(outputs[kind](documentWith('x'))).toEqual(outputs[kind](documentWith('x')));
});

test('the test script is a script that sh takes', () => {
  const [script] = outputs['test-script'](documentWith('x'));
  expect(() => execFileSync('sh', ['-n'], { input: script?.text ?? '' })).not.toThrow();
});

test('no output holds a secret or the reference to one that another tool would take for a secret', () => {
  const document = readDocument(
    `[app]\nname = "myapp"\nprofile = "fedramp-low"\n[keycloak]\nhostname = "a.example"\n[keycloak.realm.myapp]\n[keycloak.client.api]\nkind = "worker"\n[keycloak.client.api.secrets]\nclient_secret = "age:secrets/api.age"\n`,
    { file: 'postern.toml', now: new Date() },
  );
  const [realm] = outputs.keycloak(document);
  const [client] = (
    JSON.parse(realm?.text ?? '') as { clients: { secret?: string; attributes: Record<string, string> }[] }
  ).clients;
  expect(client?.secret).toBeUndefined();
  expect(client?.attributes['postern.secret']).toBe('age:secrets/api.age');
});
