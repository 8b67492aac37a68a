import { execFileSync } from 'node:child_process';
import { describe, expect, test } from '@jest/globals';
import { DocumentRefused, outputKinds, outputs, readDocument, type OutputKind } from '@postern/keycloak';
import { parse as parseYaml } from 'yaml';
import { documentFields, documentWith } from './document-fields.ts';

const hostile = [
  `"; rm -rf / #`,
  `';touch${'$'}{IFS}/tmp/owned;'`,
  '$(touch /tmp/owned)`id`${HOME}',
  "${builtins.readFile/etc/passwd}''${x}",
  '{"realm":"master"}}],',
  '-key:value#comment:&*!|>%@',
  '{{.Values.x}}${{secrets.X}}%{x}#{x}',
  '\u2028\u2029\u202eünïcode🗝️',
  '\\"\\n\\u0041\\\\',
  '</script><!--*/',
];

/** The texts of a document, each alone and in a list of its kind. */
const textFields = documentFields().flatMap(({ path, schema }) => {
  const list = schema.type === 'array' && schema.items?.type === 'string' && !schema.items.enum;
  return list || (schema.type === 'string' && !schema.enum) ? [{ path, list }] : [];
});

function documentHolding(path: readonly (string | number)[], value: unknown) {
  try {
    return readDocument(documentWith(path, value), { file: 'postern.toml', now: new Date() });
  } catch (error) {
    if (error instanceof DocumentRefused) return undefined;
    throw error;
  }
}

/** What is left of a text when its literals are taken out: the same for every value that is only a value. */
const skeletons: Readonly<Record<string, (text: string) => string>> = {
  nix: (text) => text.replace(/"(?:[^"\\$]|\\.|\$(?!\{))*"/gs, '""'),
  ts: (text) => text.replace(/"(?:[^"\\]|\\.)*"/gs, '""'),
  json: (text) => shapeOf(JSON.parse(text)),
  yaml: (text) => shapeOf(parseYaml(text)),
};

const shapeOf = (value: unknown): string =>
  JSON.stringify(value, (_, one: unknown) => (typeof one === 'string' ? '' : one));

/** Every file of an output that is in its own language, by name. */
const shapesOf = (kind: OutputKind, document: ReturnType<typeof readDocument>): string[] =>
  outputs[kind](document).map(({ path, text }) => {
    const [, language = ''] = /\.(\w+)$/.exec(path) ?? [];
    return skeletons[language]?.(text) ?? path;
  });

const kinds = outputKinds.filter((kind) => kind !== 'vault');
type Case = [field: string, text: string, place: (typeof textFields)[number]];
const taken = textFields.flatMap((place) =>
  hostile
    .filter((text) => documentHolding(place.path, place.list ? [text] : text))
    .map((text): Case => [place.path.join('.'), text, place]),
);

describe('each text of a document with a hostile value is refused, or inert in every output', () => {
  test('free texts are taken as they are, and are tried here', () => {
    const fields = new Set(taken.map(([field]) => field));
    expect([...fields]).toEqual(
      expect.arrayContaining([
        'keycloak.realm.myapp.display_name',
        'keycloak.realm.myapp.scope.accounts.description',
        'keycloak.realm.myapp.federation.oidc.other.client_id',
        'keycloak.client.web.name',
      ]),
    );
  });

  test.each(taken)('%s: %j', (_field, text, { path, list }) => {
    const plain = documentHolding(path, list ? ['word'] : 'word');
    const document = documentHolding(path, list ? [text] : text);
    if (!plain || !document) throw new Error('the field takes no plain word');
    for (const kind of kinds) {
      expect(shapesOf(kind, document)).toEqual(shapesOf(kind, plain));
      for (const { path: file, text: script } of outputs[kind](document))
        if (/\.(env|sh)$/.test(file)) expect(() => execFileSync('sh', ['-n'], { input: script })).not.toThrow();
    }
  });
});
