import { createHash } from 'node:crypto';

import { type PosternDocument } from '../document/postern-document.ts';
import { KEYCLOAK_VERSION } from '../realm/server-ids.ts';
import { type Assessed } from './assess.ts';
import { controls, oscalId } from './controls.ts';

const OSCAL_VERSION = '1.2.3';
const CATALOG =
  'https://raw.githubusercontent.com/usnistgov/oscal-content/main/nist.gov/SP800-53/rev5/json/NIST_SP-800-53_rev5_catalog.json';

/** A UUID that follows from what it names: the same evidence has the same ids. */
function uuidOf(...names: readonly string[]): string {
  const hex = createHash('sha256').update(names.join('\u0000')).digest('hex');
  const variant = ((Number.parseInt(hex[16] ?? '0', 16) & 3) | 8).toString(16);
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `5${hex.slice(13, 16)}`,
    `${variant}${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join('-');
}

const metadata = (title: string, at: string) => ({
  title,
  'last-modified': at,
  version: KEYCLOAK_VERSION,
  'oscal-version': OSCAL_VERSION,
});

/** OSCAL component definition: which controls the compiled realms keep, and by which settings. */
export function componentDefinition({ document, profile, findings }: PosternDocument, at: string) {
  const of = (...names: string[]) => uuidOf(document.app.name, ...names);
  return {
    'component-definition': {
      uuid: of('component-definition', at),
      metadata: metadata(`Identity provider of ${document.app.name}`, at),
      components: [
        {
          uuid: of('component'),
          type: 'software',
          title: `Keycloak ${KEYCLOAK_VERSION}, configured by postern`,
          description: `Realms compiled from postern.toml under ${profile.name}`,
          'control-implementations': [
            {
              uuid: of('implementation'),
              source: CATALOG,
              description: `The settings of ${profile.name}`,
              props: [{ name: 'profile', value: profile.name, ns: 'https://postern.example/ns/oscal' }],
              'implemented-requirements': controls.map(({ id, setting }) => {
                const deviations = findings.filter(({ control }) => control === id);
                return {
                  uuid: of('requirement', id),
                  'control-id': oscalId(id),
                  description: setting,
                  ...(deviations.length > 0
                    ? {
                        remarks: deviations
                          .map(
                            ({ key, message, waiver }) =>
                              `${key}: ${message}${waiver ? `; waived until ${waiver.expires} by ${waiver.approvedBy}: ${waiver.reason}` : ''}`,
                          )
                          .join('\n'),
                      }
                    : {}),
                };
              }),
            },
          ],
        },
      ],
    },
  };
}

/** OSCAL assessment results: what was found for each control of each realm, in a chain of hashes. */
export function assessmentResults(
  { document }: PosternDocument,
  results: readonly Assessed[],
  at: { start: string; end: string },
) {
  const of = (...names: string[]) => uuidOf(document.app.name, at.end, ...names);
  return {
    'assessment-results': {
      uuid: of('assessment-results'),
      metadata: metadata(`Live checks of ${document.app.name}'s identity provider`, at.end),
      'import-ap': { href: '#postern-verify', remarks: 'the checks of `postern verify`, one for each control' },
      results: [
        {
          uuid: of('result'),
          title: 'postern verify',
          description: 'Settings compared with the document, and probes of the running server',
          start: at.start,
          end: at.end,
          props: [
            { name: 'chain-head', value: results.at(-1)?.hash ?? 'none', ns: 'https://postern.example/ns/oscal' },
          ],
          'reviewed-controls': {
            'control-selections': [{ 'include-controls': controls.map(({ id }) => ({ 'control-id': oscalId(id) })) }],
          },
          observations: results.map(({ realm, control, observed, at: collected, hash }) => ({
            uuid: of('observation', realm, control),
            title: `${control} in realm ${realm}`,
            description: observed.join('; '),
            methods: ['TEST'],
            collected,
            props: [{ name: 'hash', value: hash, ns: 'https://postern.example/ns/oscal' }],
          })),
          findings: results.map(({ realm, control, title, setting, satisfied }) => ({
            uuid: of('finding', realm, control),
            title: `${control} ${title}`,
            description: `realm ${realm}: ${setting}`,
            target: {
              type: 'objective-id',
              'target-id': `${oscalId(control)}_obj`,
              status: { state: satisfied ? 'satisfied' : 'not-satisfied' },
            },
            'related-observations': [{ 'observation-uuid': of('observation', realm, control) }],
          })),
        },
      ],
    },
  };
}
