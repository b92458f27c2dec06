// Draws the panels of a dashboard as Grafana does: frames as its Prometheus data source makes them, Grafana's own transformations and
// overrides (@grafana/data), and its own components (@grafana/ui). What it imitates is the little between them, which Grafana does not publish: the
// grid, and the shells of the panels stat, timeseries and table.
import * as React from 'react';
import { createRoot } from 'react-dom/client';
import { lastValueFrom } from 'rxjs';
import {
  applyFieldOverrides, cacheFieldDisplayNames, createDataFrame, createTheme, DataFrame, dateTime, FieldConfigPropertyItem, FieldType, getFieldDisplayValues, identityOverrideProcessor,
  Registry, renderLegendFormat, standardTransformers, standardTransformersRegistry, ThemeContext, transformDataFrame,
} from '@grafana/data';
import { BigValue, BigValueColorMode, BigValueGraphMode, GlobalStyles, PanelChrome, TimeSeries } from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';

type Series = { metric: Record<string, string>; value?: [number, string]; values?: Array<[number, string]> };
type Request = { dashboard: any; answers: Record<string, Series[]>; from: number; to: number; width: number; dark: boolean };

standardTransformersRegistry.setInit(() =>
  [standardTransformers.mergeTransformer, standardTransformers.sortByTransformer, standardTransformers.organizeFieldsTransformer].map((t) => ({
    id: t.id, name: t.name, transformation: async () => t, imageDark: '', imageLight: '',
  })) as any
);

// The properties that the dashboards set. What their values may be, types.mjs holds.
const property = (id: string): FieldConfigPropertyItem => {
  const custom = id.startsWith('custom.');
  return {
    id, path: custom ? id.slice('custom.'.length) : id, isCustom: custom, name: id, settings: {}, editor: () => null, override: () => null,
    process: identityOverrideProcessor, shouldApply: () => true,
  } as any;
};
function properties({ defaults, overrides }: any) {
  const ids = ['unit', 'mappings', 'thresholds', 'links', 'noValue', 'decimals', 'color', ...Object.keys(defaults.custom ?? {}).map((key) => `custom.${key}`)];
  overrides.forEach((o: any) => o.properties.forEach((p: any) => ids.push(p.id)));
  return new Registry<FieldConfigPropertyItem>(() => [...new Set<string>(ids)].map(property));
}

const number = (text: string) => (text === '+Inf' ? Infinity : text === '-Inf' ? -Infinity : Number(text));

// frames are what Grafana's Prometheus data source makes of an answer: for a table one frame with a column for each label, else one for each
// series, named by its legend.
function frames(panel: any, answers: Record<string, Series[]>, to: number): DataFrame[] {
  return panel.targets.flatMap((target: any): DataFrame[] => {
    const series = answers[`${panel.id} ${target.refId}`] ?? [];
    if (series.length === 0) {
      return [];
    }
    if (target.format === 'table') {
      const labels = [...new Set(series.flatMap((s) => Object.keys(s.metric)))].sort();
      return [createDataFrame({ refId: target.refId, fields: [
        { name: 'Time', type: FieldType.time, values: series.map(() => to) },
        ...labels.map((label) => ({ name: label, type: FieldType.string, values: series.map((s) => s.metric[label] ?? '') })),
        { name: panel.targets.length > 1 ? `Value #${target.refId}` : 'Value', type: FieldType.number, values: series.map((s) => number(s.value![1])) },
      ] })];
    }
    return series.map((s) => {
      const values = s.values ?? [s.value!];
      return createDataFrame({ refId: target.refId, fields: [
        { name: 'Time', type: FieldType.time, values: values.map(([at]) => at * 1000), config: { interval: 1000 } },
        { name: 'Value', type: FieldType.number, labels: s.metric, values: values.map(([, v]) => number(v)),
          config: { displayNameFromDS: target.legendFormat ? renderLegendFormat(target.legendFormat, s.metric) : undefined } },
      ] });
    });
  });
}

async function content(panel: any, request: Request, theme: any) {
  const data = frames(panel, request.answers, request.to);
  const transformed = await lastValueFrom(transformDataFrame(panel.transformations ?? [], data));
  const shown = applyFieldOverrides({
    data: transformed, fieldConfig: panel.fieldConfig, fieldConfigRegistry: properties(panel.fieldConfig), replaceVariables: (text) => text, theme, timeZone: 'utc',
  });
  cacheFieldDisplayNames(shown);
  return shown;
}

function Body({ panel, data, request, theme, width, height }: { panel: any; data: DataFrame[]; request: Request; theme: any; width: number; height: number }) {
  const timeRange = { from: dateTime(request.from), to: dateTime(request.to), raw: { from: 'now-1m', to: 'now' } };
  if (!data.some((frame) => frame.length > 0)) {
    return <div data-none style={{ padding: 16, textAlign: 'center' }}>{panel.fieldConfig.defaults.noValue ?? 'No data'}</div>;
  }
  switch (panel.type) {
    case 'stat': {
      const [shown] = getFieldDisplayValues({
        data, reduceOptions: panel.options.reduceOptions, fieldConfig: panel.fieldConfig, replaceVariables: (text) => text, theme, timeZone: 'utc',
      });
      return <BigValue width={width} height={height} theme={theme} value={shown.display} colorMode={BigValueColorMode.Value} graphMode={BigValueGraphMode.None} textMode={panel.options.textMode} count={1} />;
    }
    case 'timeseries':
      return <TimeSeries width={width} height={height} frames={data} timeRange={timeRange} timeZone="utc" legend={panel.options.legend} options={panel.options} />;
    case 'table':
      return (
        <TableNG width={width} height={height} data={data[0]} timeRange={timeRange} fieldConfig={panel.fieldConfig}
          cellHeight={panel.options.cellHeight} noHeader={!panel.options.showHeader} />
      );
  }
  throw new Error(`nobody draws a ${panel.type}`);
}

// Grafana's grid: 24 columns, rows of 30 pixels, 8 between.
const [rowHeight, gap] = [30, 8];

async function draw(request: Request) {
  document.body.innerHTML = '<div id="root"></div>';
  const theme = createTheme({ colors: { mode: request.dark ? 'dark' : 'light' } });
  const drawn = await Promise.all(request.dashboard.panels.map(async (panel: any) => ({ panel, data: panel.type === 'row' ? [] : await content(panel, request, theme) })));
  const column = (request.width - gap) / 24;
  const bottom = Math.max(...request.dashboard.panels.map((p: any) => p.gridPos.y + p.gridPos.h));
  createRoot(document.getElementById('root')!).render(
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <div style={{ position: 'relative', width: request.width, height: bottom * (rowHeight + gap) + gap + 40, background: theme.colors.background.canvas, color: theme.colors.text.primary }}>
        <h1 style={{ fontSize: 18, padding: '10px 8px 0', margin: 0 }}>{request.dashboard.title}</h1>
        {drawn.map(({ panel, data }) => {
          const { x, y, w, h } = panel.gridPos;
          const box = { position: 'absolute' as const, left: gap + x * column, top: 40 + y * (rowHeight + gap), width: w * column - gap, height: h * (rowHeight + gap) - gap };
          return panel.type === 'row' ? (
            <h2 key={panel.id} style={{ ...box, fontSize: 15, margin: 0 }}>{panel.title}</h2>
          ) : (
            <div key={panel.id} data-panel={panel.id} style={box}>
              <PanelChrome width={box.width} height={box.height} title={panel.title} description={panel.description}>
                {(width, height) => <Body panel={panel} data={data} request={request} theme={theme} width={width} height={height} />}
              </PanelChrome>
            </div>
          );
        })}
      </div>
    </ThemeContext.Provider>
  );
}

// seen is what a person would see of each panel: its text, and of a graph how many colours there are on its canvas.
function seen() {
  return [...document.querySelectorAll<HTMLElement>('[data-panel]')].map((box) => {
    const canvas = box.querySelector('canvas');
    const colours = new Set<string>();
    if (canvas && canvas.width > 0) {
      const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height);
      for (let i = 0; i < data.length && colours.size < 50; i += 4) {
        if (data[i + 3] > 0) {
          colours.add(`${data[i]},${data[i + 1]},${data[i + 2]}`);
        }
      }
    }
    const body = box.querySelector<HTMLElement>('[data-none]') ?? box;
    return { id: Number(box.dataset.panel), none: body !== box, text: box.innerText, colours: colours.size, rows: box.querySelectorAll('[role="row"]').length, cells: box.querySelectorAll('[role="gridcell"]').length };
  });
}

Object.assign(window, { draw, seen });
