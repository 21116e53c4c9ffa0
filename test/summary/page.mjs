// A page that shows a summary, with its diagrams drawn by Mermaid.
import {createRequire} from 'node:module'
import {mkdtemp, rm, writeFile} from 'node:fs/promises'
import {execFile} from 'node:child_process'
import {promisify} from 'node:util'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {readFileSync} from 'node:fs'
import {pathToFileURL} from 'node:url'
import {html, tree} from './markdown.mjs'

const run = promisify(execFile)
const require = createRequire(import.meta.url)
const css = readFileSync(require.resolve('github-markdown-css/github-markdown-light.css'), 'utf8')
const mermaid = path.join(path.dirname(require.resolve('mermaid')), 'mermaid.min.js')

// GitHub draws diagrams with securityLevel strict.
const script = `
mermaid.initialize({startOnLoad: false, securityLevel: 'strict', theme: 'default'})
window.addEventListener('load', async () => {
  const blocks = [...document.querySelectorAll('code.language-mermaid')]
  for (const [i, block] of blocks.entries()) {
    const out = document.createElement('div')
    out.className = 'diagram'
    try {
      await mermaid.parse(block.textContent)
      out.innerHTML = (await mermaid.render('diagram' + i, block.textContent)).svg
    } catch (e) {
      out.className = 'diagram broken'
      out.textContent = String(e)
    }
    block.parentElement.replaceWith(out)
  }
  document.documentElement.dataset.height = Math.ceil(document.body.getBoundingClientRect().height)
  const drawn = [...document.querySelectorAll('.diagram')].map((d) => ({
    error: d.classList.contains('broken') ? d.textContent : '',
    nodes: [...d.querySelectorAll('.node foreignObject > *')].map((n) => n.innerText),
    elements: [...new Set([...d.querySelectorAll('*')].map((e) => e.tagName.toLowerCase()))],
    attributes: [...new Set([...d.querySelectorAll('*')].flatMap((e) => [...e.attributes].map((a) => a.name)))],
  }))
  document.documentElement.dataset.drawn = btoa(String.fromCodePoint(...new TextEncoder().encode(JSON.stringify(drawn))))
})`

/** Returns the page of a summary; open unfolds the details. */
export async function page(markdown, {open = false} = {}) {
  const body = html(await tree(markdown)).replaceAll('<details>', open ? '<details open>' : '<details>')
  return `<!doctype html><meta charset="utf-8"><style>${css}
body { margin: 0; padding: 24px 32px; max-width: 980px; background: #fff }
.diagram { text-align: center; margin: 16px 0 } .diagram svg { max-width: 100%; height: auto }
</style><body class="markdown-body">${body}
<script src="${pathToFileURL(mermaid)}"></script><script>${script}</script>`
}

/** Runs f with the address of a page, and a folder that is removed after it. */
export async function withPage(markdown, options, f) {
  const dir = await mkdtemp(path.join(tmpdir(), 'signgate-summary-'))
  try {
    await writeFile(path.join(dir, 'page.html'), await page(markdown, options))
    return await f(String(pathToFileURL(path.join(dir, 'page.html'))), dir)
  } finally {
    await rm(dir, {recursive: true, force: true})
  }
}

/** Runs Chromium without a window and returns what it prints. */
export async function chromium(dir, ...args) {
  const flags = ['--headless=new', '--no-sandbox', '--disable-gpu', '--hide-scrollbars', '--disable-background-networking', '--user-data-dir=' + dir, '--virtual-time-budget=20000']
  const {stdout} = await run(process.env.SIGNGATE_BROWSER, [...flags, ...args], {maxBuffer: 64 << 20, timeout: 120_000})
  return stdout
}

/** Returns how high the page of a summary is, and what its diagrams became. */
export function look(markdown) {
  return withPage(markdown, {}, async (url, dir) => {
    const dom = await chromium(dir, '--window-size=1044,1000', '--dump-dom', url)
    const value = (name) => new RegExp(` data-${name}="([^"]*)"`).exec(dom)[1]
    return {height: Number(value('height')), drawn: JSON.parse(Buffer.from(value('drawn'), 'base64').toString())}
  })
}
