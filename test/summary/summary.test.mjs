// What the job summary becomes on GitHub: its structure, that no name becomes
// anything but text, and that every diagram is drawn.
import test from 'node:test'
import assert from 'node:assert/strict'
import {readFileSync, readdirSync} from 'node:fs'
import path from 'node:path'
import {all, diagrams, text, tree, walk} from './markdown.mjs'
import {look} from './page.mjs'

const folder = path.join(process.env.SIGNGATE_ROOT, 'internal/report/testdata')
const summaries = readdirSync(folder).filter((f) => f.endsWith('.md'))
const read = (name) => readFileSync(path.join(folder, name), 'utf8')
const invisible = /[\p{Cf}\p{Cc}\p{Co}\p{Variation_Selector}]/u

test('there are summaries', () => assert.ok(summaries.length >= 5))

for (const name of summaries) {
  test(name + ': its parts', async () => {
    const root = await tree(read(name))
    const headings = ['h2', 'h3', 'h4'].map((h) => all(root, h).map(text))
    assert.equal(headings[0].length, 1, 'one heading is the verdict')
    assert.match(headings[0][0], /^\p{Emoji}\uFE0F? signgate (sign|verify|run): (PASSED|REFUSED|CONFIGURATION|UNDECIDED)$/u)
    const known = ['What failed, and what to do', 'Images', 'How it was decided', 'Verify it yourself']
    for (const h of headings[1]) assert.ok(known.includes(h), h)
    for (const h of all(root, 'h4')) assert.ok(all(h, 'code').length === 1 || /^\d+ more images?$/.test(text(h)), text(h))
    for (const d of all(root, 'details')) {
      const inside = d.children.filter((c) => c.type === 'element')
      assert.equal(inside[0].tagName, 'summary')
      assert.match(text(inside[0]), /^(Public key signgate(-\d)?\.pub \([\w-]+\)|Trust sources|Entries that did not count|Timings and request ids|This run|\d+ more images?, passed)$/)
      assert.ok(inside.length > 1, 'a fold holds something')
    }
    for (const t of all(root, 'table')) {
      const widths = all(t, 'tr').map((r) => r.children.filter((c) => c.type === 'element').length)
      assert.equal(new Set(widths).size, 1, 'every row has the same cells: ' + widths)
    }
  })

  test(name + ': names are text', async () => {
    const root = await tree(read(name))
    const allowed = new Set('h2 h3 h4 p a ul li br strong code pre table thead tbody tr th td details summary div'.split(' '))
    walk(root, (node) => {
      assert.ok(allowed.has(node.tagName), 'an element ' + node.tagName)
      for (const p of Object.keys(node.properties)) assert.ok(['href', 'className'].includes(p), `${node.tagName} has ${p}`)
    })
    for (const a of all(root, 'a')) assert.match(a.properties.href, /^https:\/\/github\.com\/(signgate\/signgate\/blob\/(main|v1\.2\.3)\/docs\/|acme\/app\/actions\/runs\/\d+$)/)
    for (const {value, above} of texts(root)) {
      assert.ok(!invisible.test(value.replace(/[\n\uFE0F]/g, '')), 'characters that nobody sees: ' + JSON.stringify(value))
      if (!above.some((e) => ['code', 'pre', 'a'].includes(e.tagName))) {
        assert.doesNotMatch(value, /(^|[^\w])@\w|(^|\W)#\d|\bGH-\d|:\/\/|\bwww\.|\b[0-9a-f]{7,40}\b|:\w+:|\$/i, 'GitHub would make something of it')
      }
    }
  })

  test(name + ': the diagrams are drawn', async () => {
    const sources = diagrams(await tree(read(name)))
    const {drawn} = await look(read(name))
    assert.equal(drawn.length, sources.length)
    for (const [i, d] of drawn.entries()) {
      assert.equal(d.error, '')
      assert.ok(d.elements.includes('svg') && d.nodes.length > 2)
      assert.deepEqual(d.nodes.map(squeeze).sort(), nodes(sources[i]).sort())
      assert.ok(d.nodes.length <= 50, 'too many nodes to read')
      for (const e of d.elements) assert.ok(!['script', 'img', 'a', 'iframe', 'form', 'b', 'code', 'em'].includes(e), 'an element ' + e)
      for (const a of d.attributes) assert.doesNotMatch(a, /^on|href$/)
    }
  })
}

function texts(node, above = []) {
  if (node.type === 'text') return [{value: node.value, above}]
  return (node.children ?? []).flatMap((c) => texts(c, [...above, node]))
}

/** The texts of the nodes, as the source of a diagram has them. */
function nodes(source) {
  const out = []
  for (const line of source.split('\n')) {
    const m = /^ {2}n\d+\W+"(.*)"\W+$/.exec(line)
    if (m) out.push(squeeze(m[1].replaceAll('<br>', ' ').replace(/#(\d+);/g, (_, n) => String.fromCodePoint(n))))
  }
  return out
}

const squeeze = (s) => s.replace(/\s+/g, ' ').trim()
