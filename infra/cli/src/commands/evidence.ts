import {
  assess,
  assessmentResults,
  compileRealm,
  componentDefinition,
  evidenceReport,
  modelsOf,
  stableJson,
} from '@postern/keycloak';
import { exitCodes } from '../outcome.ts';
import { fileOption, openDocument } from '../keycloak/document.ts';
import { fileText, serverOptions, withServer } from '../keycloak/server.ts';
import { writeFiles } from '../keycloak/write-files.ts';
import { defineCommand } from '../table/command.ts';

export const command = defineCommand({
  about: `Writes the evidence of a running Keycloak: OSCAL component definition and assessment results (JSON), and a report (HTML). Prints the
head of the chain of results, to be kept elsewhere.`,
  options: {
    ...fileOption,
    ...serverOptions,
    out: { type: 'string', short: 'o', value: 'FOLDER', default: 'evidence', about: 'where they go' },
  },
  async run({ values }, terminal) {
    const document = await openDocument(values.file, terminal);
    return withServer(values, document, terminal, async (admin, url) => {
      const start = new Date().toISOString();
      const results = await assess(admin, modelsOf(document).map(compileRealm), {
        url,
        ...(values.ca ? { ca: fileText(values.ca, terminal) } : {}),
        now: () => new Date(),
      });
      const end = new Date().toISOString();
      writeFiles(
        [
          { path: 'component-definition.json', text: stableJson(componentDefinition(document, end)) },
          { path: 'assessment-results.json', text: stableJson(assessmentResults(document, results, { start, end })) },
          { path: 'report.html', text: evidenceReport(document, results, end) },
        ],
        values.out,
        terminal,
      );
      const satisfied = results.filter((one) => one.satisfied).length;
      terminal.out(`${satisfied} of ${results.length} checks satisfied; chain head ${results.at(-1)?.hash}`);
      return satisfied === results.length ? exitCodes.done : exitCodes.refused;
    });
  },
});
