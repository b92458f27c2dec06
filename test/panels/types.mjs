// Checks the types of dashboards against @grafana/schema, field by field; what Grafana does not know is refused.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const here = dirname(fileURLToPath(import.meta.url));

// As in JSON, an enumeration is its values; a panel's options and custom fields are those of its type.
const types = `
import type { Dashboard, DataQuery, Panel, RowPanel, VariableModel, AnnotationQuery } from '@grafana/schema';
import type { Options as StatOptions } from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type { Options as TableOptions, FieldConfig as TableFields } from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type { Options as GraphOptions, FieldConfig as GraphFields } from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

type Json<T> = T extends string ? \`\${T}\` : T extends number | boolean | null | undefined ? T : T extends Array<infer E> ? Json<E>[] : unknown extends T ? T : { [K in keyof T]: Json<T[K]> };
// A query of Grafana's Prometheus data source.
interface Query extends DataQuery { expr: string; legendFormat?: string; format: 'table' | 'time_series'; instant: boolean; range: boolean; editorMode: 'code' }
type Of<Type extends string, O, F> = Omit<Json<Panel<Record<string, unknown>, F>>, 'type' | 'options' | 'targets'> & { type: Type; options: Json<O>; targets: Json<Query>[] };
type AnyPanel = Of<'stat', StatOptions, {}> | Of<'table', TableOptions, Partial<TableFields>> | Of<'timeseries', GraphOptions, GraphFields> | Json<RowPanel>;
type Variable = Json<VariableModel> & { definition?: string };
type Annotation = Json<AnnotationQuery> & { expr?: string; step?: string; titleFormat?: string; textFormat?: string; tagKeys?: string };
export type Whole = Omit<Json<Dashboard>, 'panels' | 'templating' | 'annotations'> & { panels: AnyPanel[]; templating: { list: Variable[] }; annotations: { list: Annotation[] } };
`;

// complaints of TypeScript about one file.
export function complaints(paths) {
  const folder = mkdtempSync(join(here, 'types-'));
  try {
    writeFileSync(join(folder, 'whole.ts'), types);
    const roots = paths.map((path, i) => {
      const file = join(folder, `${i}.ts`);
      writeFileSync(file, `import type { Whole } from './whole';\nexport const dashboard: Whole = ${readFileSync(path, 'utf8')};\n`);
      return file;
    });
    const program = ts.createProgram(roots, {
      strict: true, noEmit: true, skipLibCheck: true, types: [], target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler,
    });
    return ts.getPreEmitDiagnostics(program).map((d) => {
      const at = d.file && d.start !== undefined ? d.file.getLineAndCharacterOfPosition(d.start).line : 0;
      const name = d.file ? basename(paths[Number(basename(d.file.fileName, '.ts'))] ?? d.file.fileName) : '';
      return `${name}:${at}: ${ts.flattenDiagnosticMessageText(d.messageText, ' ')}`;
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const found = complaints(process.argv.slice(2));
  found.forEach((line) => console.error(line));
  console.log(`${process.argv.length - 2} dashboards, ${found.length} complaints of TypeScript`);
  process.exit(found.length > 0 ? 1 : 0);
}
