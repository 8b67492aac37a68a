import { readFileSync } from 'node:fs';

export type Instruction = { stage: string; keyword: string; text: string };

/** The instructions of a Dockerfile in order, each with the stage it belongs to ('' before the first FROM). */
export function readDockerfile(path: string): Instruction[] {
  const lines = readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => !/^\s*(#|$)/.test(line))
    .join('\n')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n');
  let stage = '';
  return lines.map((line) => {
    const [keyword = '', ...words] = line.trim().split(/\s+/);
    if (keyword === 'FROM') stage = words.at(-1) ?? '';
    return { stage, keyword, text: line.trim().slice(keyword.length).trim() };
  });
}

/** The words of an instruction in exec form, as of `CMD ["main.js"]` or `HEALTHCHECK --interval=10s CMD ["node"]`. */
export function execForm(instructions: readonly Instruction[], keyword: string): string[] {
  const found = instructions.filter((instruction) => instruction.keyword === keyword).at(-1);
  const array = /\[.*\]$/.exec(found?.text ?? '')?.[0];
  if (array === undefined) throw new Error(`the Dockerfile has no ${keyword} in exec form`);
  return JSON.parse(array) as string[];
}
