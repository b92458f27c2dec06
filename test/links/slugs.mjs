// Reads [{Headings}] and writes it with the Slugs that github-slugger makes of them, page by page.
import {readFileSync} from 'node:fs'
import Slugger from 'github-slugger'

const rows = JSON.parse(readFileSync(0, 'utf8'))
for (const row of rows) {
  const slugger = new Slugger()
  row.Slugs = (row.Headings ?? []).map(h => slugger.slug(h))
}
process.stdout.write(JSON.stringify(rows))
