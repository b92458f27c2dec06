// Draws dashboards in headless Chromium and looks at each panel: node draw.mjs REQUESTS.json FOLDER
// A request is a dashboard, the answers of a Prometheus to its queries, and how to draw it; its picture is FOLDER/NAME.png.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import puppeteer from 'puppeteer-core';

const here = dirname(fileURLToPath(import.meta.url));
const [requestsFile, folder] = process.argv.slice(2);
const requests = JSON.parse(readFileSync(requestsFile, 'utf8'));
const work = mkdtempSync(join(tmpdir(), 'panels-'));
const complaints = [];

// Grafana's server serves the icons; here their place is empty.
const icon = /ERR_FILE_NOT_FOUND/;

// What a person would call broken.
function judge({ name, answers }, panel, seen) {
  const wrong = (what) => complaints.push(`${name}/${panel.id} "${panel.title}": ${what}`);
  if (!seen?.text.includes(panel.title)) {
    return wrong('its title is not to be seen');
  }
  if (/undefined|\bNaN\b|\[object|\$\{/.test(seen.text)) {
    wrong(`it says ${JSON.stringify(seen.text)}`);
  }
  if (seen.none) {
    return panel.fieldConfig.defaults.noValue ? undefined : wrong('there is nothing to see');
  }
  const body = seen.text.replace(panel.title, '').trim();
  if (panel.type === 'stat' && !/[0-9∞]/.test(body)) {
    wrong(`it shows no number but ${JSON.stringify(body)}`);
  }
  if (panel.type === 'timeseries' && (seen.colours < 5 || body === '')) {
    wrong(`a canvas with ${seen.colours} colours and the legend ${JSON.stringify(body)}`);
  }
  // A label that no series bears has no column.
  const borne = (field) => field.startsWith('Value') || panel.targets.some((q) => answers[`${panel.id} ${q.refId}`].some((s) => s.metric[field]));
  const renamed = panel.transformations?.find((t) => t.id === 'organize')?.options.renameByName ?? {};
  const missing = Object.entries(renamed).filter(([field, title]) => borne(field) && !seen.text.includes(title));
  if (panel.type === 'table' && (seen.cells === 0 || missing.length > 0)) {
    wrong(`${seen.rows} rows, ${seen.cells} cells, without the columns ${missing}: ${JSON.stringify(body.slice(0, 300))}`);
  }
}

let browser;
try {
  console.log('panels: bundling @grafana/ui, which takes a while ...');
  await build({
    entryPoints: [join(here, 'panels.tsx')], outfile: join(work, 'panels.js'), bundle: true, format: 'iife', minify: true, logLevel: 'error',
    define: { 'process.env.NODE_ENV': '"production"', global: 'window' },
    loader: { '.svg': 'text', '.png': 'dataurl', '.woff': 'dataurl', '.woff2': 'dataurl', '.ttf': 'dataurl' },
  });
  writeFileSync(join(work, 'index.html'), '<!doctype html><meta charset="utf-8"><style>body { margin: 0 }</style><link rel="stylesheet" href="panels.css"><body><script src="panels.js"></script>');
  browser = await puppeteer.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', userDataDir: join(work, 'profile'),
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--allow-file-access-from-files'],
    protocolTimeout: 300_000,
  });
  for (const request of requests) {
    const page = await browser.newPage();
    page.on('pageerror', (error) => complaints.push(`${request.name}: ${error}`));
    page.on('console', (message) => message.type() === 'error' && !icon.test(message.text()) && complaints.push(`${request.name}: ${message.text()}`));
    await page.setViewport({ width: request.width, height: request.height });
    await page.goto(pathToFileURL(join(work, 'index.html')).href);
    await page.evaluate((r) => window.draw(r), request);
    const panels = request.dashboard.panels.filter((p) => p.type !== 'row');
    // Every panel has something in it, and what is drawn has settled.
    await page.waitForFunction((n) => document.querySelectorAll('[data-panel]').length === n, {}, panels.length);
    if (request.whole) { // what is outside the window is not drawn
      await page.setViewport({ width: request.width, height: await page.evaluate(() => document.documentElement.scrollHeight) });
    }
    await new Promise((done) => setTimeout(done, 1500));
    const seen = await page.evaluate(() => window.seen());
    panels.forEach((panel) => judge(request, panel, seen.find((s) => s.id === panel.id)));
    await page.screenshot({ path: join(folder, `${request.name}.png`) });
    console.log(`panels: ${request.name}: ${panels.length} panels drawn`);
    await page.close();
  }
} finally {
  await browser?.close();
  rmSync(work, { recursive: true, force: true });
}
complaints.forEach((line) => console.error(line));
console.log(`panels: ${complaints.length} complaints`);
process.exit(complaints.length > 0 ? 1 : 0);
