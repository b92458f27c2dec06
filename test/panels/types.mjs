// Checks the types of dashboards against @grafana/schema of three versions of Grafana, field by field. A field that one of them does not
// know is an error. A panel may leave out an option: Grafana fills in the default.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const here = dirname(fileURLToPath(import.meta.url));

// The oldest supported version, the one after it, and the one that draws. The first two packages replace @grafana/schema in the types.
const versions = {
  11: { '@grafana/schema': 'schema-11/dist/index.d.ts', '@grafana/schema/*': 'schema-11/*' },
  12: { '@grafana/schema': 'schema-12/dist/esm/index.d.ts', '@grafana/schema/*': 'schema-12/*' },
  13: {},
};

// As in JSON, an enumeration is its values; a panel's options and custom fields are those of its type.
const types = `
import type { Dashboard, DataQuery, Panel, RowPanel, VariableModel, AnnotationQuery } from '@grafana/schema';
import type { Options as StatOptions } from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type { Options as TableOptions, FieldConfig as TableFields } from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type { Options as GraphOptions, FieldConfig as GraphFields } from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

type Json<T> = T extends string ? \`\${T}\` : T extends number | boolean | null | undefined ? T : T extends Array<infer E> ? Json<E>[] : unknown extends T ? T : { [K in keyof T]: Json<T[K]> };
type Some<T> = T extends object ? (T extends unknown[] ? T : { [K in keyof T]?: Some<T[K]> }) : T;
// A query of Grafana's Prometheus data source.
interface Query extends DataQuery { expr: string; legendFormat?: string; format: 'table' | 'time_series'; instant: boolean; range: boolean; editorMode: 'code' }
type Of<Type extends string, O, F> = Omit<Json<Panel<Record<string, unknown>, F>>, 'type' | 'options' | 'targets'> & { type: Type; options: Some<Json<O>>; targets: Json<Query>[] };
type AnyPanel = Of<'stat', StatOptions, {}> | Of<'table', TableOptions, Partial<TableFields>> | Of<'timeseries', GraphOptions, GraphFields> | Json<RowPanel>;
type Variable = Json<VariableModel> & { definition?: string };
type Annotation = Json<AnnotationQuery> & { expr?: string; step?: string; titleFormat?: string; textFormat?: string; tagKeys?: string };
export type Whole = Omit<Json<Dashboard>, 'panels' | 'templating' | 'annotations'> & { panels: AnyPanel[]; templating: { list: Variable[] }; annotations: { list: Annotation[] } };
`;

// complaints of TypeScript about dashboards in a version of Grafana.
export function complaints(version, files) {
  const folder = mkdtempSync(join(here, 'types-'));
  try {
    writeFileSync(join(folder, 'whole.ts'), types);
    const roots = files.map((path, i) => {
      const file = join(folder, `${i}.ts`);
      writeFileSync(file, `import type { Whole } from './whole';\nexport const dashboard: Whole = ${readFileSync(path, 'utf8')};\n`);
      return file;
    });
    const paths = Object.fromEntries(Object.entries(versions[version]).map(([name, path]) => [name, [join(here, 'node_modules', '@grafana', path)]]));
    const program = ts.createProgram(roots, {
      strict: true, noEmit: true, skipLibCheck: true, types: [], target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler, paths,
    });
    return ts.getPreEmitDiagnostics(program).map((d) => {
      const at = d.file && d.start !== undefined ? d.file.getLineAndCharacterOfPosition(d.start).line : 0;
      const name = d.file ? basename(files[Number(basename(d.file.fileName, '.ts'))] ?? d.file.fileName) : '';
      return `Grafana ${version}: ${name}:${at}: ${ts.flattenDiagnosticMessageText(d.messageText, ' ')}`;
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const files = process.argv.slice(2);
  const found = Object.keys(versions).flatMap((version) => complaints(version, files));
  found.forEach((line) => console.error(line));
  console.log(`${files.length} dashboards, Grafana ${Object.keys(versions).join(', ')}: ${found.length} complaints of TypeScript`);
  process.exit(found.length > 0 ? 1 : 0);
}
