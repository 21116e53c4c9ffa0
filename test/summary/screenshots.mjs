// Writes docs/images/summary-*.png: what the job summary looks like.
import {readFile, stat} from 'node:fs/promises'
import path from 'node:path'
import {execFile} from 'node:child_process'
import {promisify} from 'node:util'
import {chromium, look, withPage} from './page.mjs'

const run = promisify(execFile)
const root = process.env.SIGNGATE_ROOT
for (const name of process.argv.length > 2 ? process.argv.slice(2) : ['passed', 'refused', 'hostile']) {
  const markdown = await readFile(path.join(root, 'internal/report/testdata', name + '.md'), 'utf8')
  const {height} = await look(markdown)
  const file = path.join(root, 'docs/images', `summary-${name}.png`)
  await withPage(markdown, {}, (url, dir) => chromium(dir, `--screenshot=${file}`, `--window-size=1044,${Math.min(height + 40, 3600)}`, url))
  await run('pngquant', ['--force', '--skip-if-larger', '--ext=.png', '--speed=1', '48', file])
  console.log(file, (await stat(file)).size, 'bytes')
}
