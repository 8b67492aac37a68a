import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import ts from 'typescript';

const app = fileURLToPath(new URL('../../../../apps/auth-manager/src/', import.meta.url));

/** The files that a refresh runs through from its lock on. */
const files = (): string[] => [
  ...readdirSync(join(app, 'refresh'))
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.spec.ts'))
    .map((name) => join(app, 'refresh', name)),
  join(app, 'record-effect.ts'),
];

/** Sources of the service by URL, in which every statement of a function is preceded by a mark of its own line. */
export function markedSources(): Record<string, string> {
  return Object.fromEntries(
    files().map((path) => [pathToFileURL(path).href, marked(path, readFileSync(path, 'utf8'))]),
  );
}

function marked(path: string, text: string): string {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.ESNext, true);
  const name = path.slice(app.length);
  const starts: number[] = [];
  const visit = (node: ts.Node, inFunction: boolean): void => {
    if (inFunction && (ts.isBlock(node) || ts.isCaseOrDefaultClause(node))) {
      for (const statement of node.statements) {
        // A declaration is no step, and a block's own statements are marked.
        if (!ts.isFunctionDeclaration(statement) && !ts.isBlock(statement)) starts.push(statement.getStart(source));
      }
    }
    ts.forEachChild(node, (child) => visit(child, inFunction || ts.isFunctionLike(node)));
  };
  visit(source, false);
  return starts
    .sort((a, b) => b - a)
    .reduce((whole, start) => {
      const line = source.getLineAndCharacterOfPosition(start).line + 1;
      return `${whole.slice(0, start)}__reached("${name}:${line}");${whole.slice(start)}`;
    }, text);
}
