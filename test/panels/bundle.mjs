// Bundles panels.tsx with Grafana's components into a page that draws: node bundle.mjs FOLDER
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
const [folder] = process.argv.slice(2);
mkdirSync(folder, { recursive: true });
await build({
  entryPoints: [join(here, 'panels.tsx')], outfile: join(folder, 'panels.js'), bundle: true, format: 'iife', minify: true, logLevel: 'error',
  define: { 'process.env.NODE_ENV': '"production"', global: 'window' },
  loader: { '.svg': 'text', '.png': 'dataurl', '.woff': 'dataurl', '.woff2': 'dataurl', '.ttf': 'dataurl' },
});
writeFileSync(join(folder, 'index.html'), '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><style>body { margin: 0 }</style><link rel="stylesheet" href="panels.css"><body><script src="panels.js"></script>');
