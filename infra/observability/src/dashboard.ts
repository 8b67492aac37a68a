/** One graph: queries of one source, each with the legend of its series. */
export type Graph = {
  title: string;
  source: 'prometheus' | 'loki';
  unit?: 'short' | 's' | 'percentunit' | 'reqps' | 'bytes';
  kind?: 'timeseries' | 'stat' | 'logs';
  queries: { expr: string; legend?: string }[];
};

export type Dashboard = { uid: string; title: string; graphs: Graph[] };

const WIDTH = 24;
const ACROSS = 3;
const HEIGHT = 8;

const variable = (name: 'prometheus' | 'loki') => ({
  name,
  label: name,
  type: 'datasource',
  query: name,
  hide: 0,
  refresh: 1,
});

/** A dashboard in Grafana's JSON (schema 39): graphs in rows of three, the data sources chosen by variables. */
export function grafanaJson({ uid, title, graphs }: Dashboard) {
  const width = WIDTH / ACROSS;
  const sources = [...new Set(graphs.map(({ source }) => source))];
  return {
    uid,
    title,
    tags: ['postern'],
    schemaVersion: 39,
    editable: false,
    refresh: '30s',
    time: { from: 'now-6h', to: 'now' },
    templating: { list: sources.map(variable) },
    panels: graphs.map(({ title: name, source, unit = 'short', kind = 'timeseries', queries }, at) => ({
      id: at + 1,
      title: name,
      type: kind,
      datasource: { type: source, uid: `\${${source}}` },
      gridPos: { x: (at % ACROSS) * width, y: Math.floor(at / ACROSS) * HEIGHT, w: width, h: HEIGHT },
      fieldConfig: { defaults: { unit }, overrides: [] },
      targets: queries.map(({ expr, legend }, query) => ({
        refId: String.fromCharCode(65 + query),
        datasource: { type: source, uid: `\${${source}}` },
        expr,
        ...(legend === undefined ? {} : { legendFormat: legend }),
        // A point of a duration leads to the trace of a request that took so long.
        ...(/_bucket[[{]/.test(expr) ? { exemplar: true } : {}),
      })),
    })),
  };
}
