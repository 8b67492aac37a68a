import { createHash } from 'node:crypto';
import {
  assess,
  assessmentResults,
  compileRealm,
  componentDefinition,
  evidenceReport,
  modelsOf,
  stableJson,
} from '@postern/keycloak';
import { counted } from '../counted.ts';
import { exitCodes } from '../outcome.ts';
import { fileOption, openDocument } from '../keycloak/document.ts';
import { serverOptions, withServer } from '../keycloak/server.ts';
import { writeFiles } from '../keycloak/write-files.ts';
import { defineCommand } from '../table/command.ts';
import { textOf } from '../text-of.ts';

export const command = defineCommand({
  about: `Writes the evidence of a running Keycloak: OSCAL component definition and assessment results (JSON), a report (HTML) and their hashes.
record.json goes into the log: postern call POST audit-sink/v1/log/evidence --as OPERATOR --data @record.json. Prints the head of the chain of
results.`,
  options: {
    ...fileOption,
    ...serverOptions,
    out: { type: 'string', short: 'o', value: 'FOLDER', default: 'evidence', about: 'where they go' },
    json: { type: 'boolean', about: 'the counts and the head of the chain as one JSON object' },
  },
  async run({ values }, terminal) {
    const document = await openDocument(values.file, terminal);
    return withServer(values, document, terminal, async (admin, url) => {
      const start = new Date().toISOString();
      const results = await assess(admin, modelsOf(document).map(compileRealm), {
        url,
        ...(values.ca ? { ca: textOf(values.ca, terminal) } : {}),
        now: () => new Date(),
      });
      const end = new Date().toISOString();
      const files = [
        { path: 'assessment-results.json', text: stableJson(assessmentResults(document, results, { start, end })) },
        { path: 'component-definition.json', text: stableJson(componentDefinition(document, end)) },
        { path: 'report.html', text: evidenceReport(document, results, end) },
      ];
      const sums = files.map(({ path, text }) => `${sha256(text)}  ${path}\n`).join('');
      const satisfied = results.filter((one) => one.satisfied).length;
      const recorded = {
        subject: document.document.app.name,
        sha256: sha256(sums),
        checks: results.length,
        satisfied,
      };
      writeFiles(
        [...files, { path: 'SHA256SUMS', text: sums }, { path: 'record.json', text: `${JSON.stringify(recorded)}\n` }],
        values.out,
        terminal,
      );
      const head = results.at(-1)?.hash;
      terminal.out(
        values.json
          ? JSON.stringify({ checks: results.length, satisfied, head })
          : `${satisfied} of ${counted(results.length, 'check')} satisfied; chain head ${head}`,
      );
      return satisfied === results.length ? exitCodes.done : exitCodes.refused;
    });
  },
});

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
