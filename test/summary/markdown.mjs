// Markdown as GitHub renders it, as far as public packages do: GFM with bare
// links, raw HTML, and then only what GitHub's sanitiser lets through (the
// default schema of rehype-sanitize is a copy of it). Alerts are made here.
import {unified} from 'unified'
import remarkParse from 'remark-parse'
import remarkGfm from 'remark-gfm'
import remarkRehype from 'remark-rehype'
import rehypeRaw from 'rehype-raw'
import rehypeSanitize from 'rehype-sanitize'
import rehypeStringify from 'rehype-stringify'

/** Returns the tree of HTML that GitHub shows for a summary. */
export async function tree(markdown) {
  const processor = unified().use(remarkParse).use(remarkGfm).use(remarkRehype, {allowDangerousHtml: true}).use(rehypeRaw).use(rehypeSanitize)
  const root = await processor.run(processor.parse(markdown))
  walk(root, alert)
  return root
}

export const html = (root) => unified().use(rehypeStringify).stringify(root)

/** Calls f for every element, with its ancestors. */
export function walk(node, f, above = []) {
  if (node.type === 'element') f(node, above)
  for (const child of node.children ?? []) walk(child, f, [...above, node])
}

export function text(node) {
  return node.type === 'text' ? node.value : (node.children ?? []).map(text).join('')
}

/** Returns the elements of a name, with their ancestors. */
export function all(root, name) {
  const out = []
  walk(root, (node, above) => node.tagName === name && out.push(Object.assign(node, {above})))
  return out
}

/** The sources of the diagrams of a tree. */
export const diagrams = (root) =>
  all(root, 'code').filter((c) => c.properties.className?.includes('language-mermaid')).map(text)

// https://docs.github.com/en/get-started/writing-on-github/getting-started-with-writing-and-formatting-on-github/basic-writing-and-formatting-syntax#alerts
function alert(node) {
  if (node.tagName !== 'blockquote') return
  const first = node.children.find((c) => c.tagName === 'p')?.children[0]
  const kind = first?.type === 'text' && /^\[!(NOTE|TIP|IMPORTANT|WARNING|CAUTION)\]\s*/.exec(first.value)
  if (!kind) return
  first.value = first.value.slice(kind[0].length)
  node.tagName = 'div'
  node.properties = {className: ['markdown-alert', 'markdown-alert-' + kind[1].toLowerCase()]}
  const title = kind[1][0] + kind[1].slice(1).toLowerCase()
  node.children.unshift({type: 'element', tagName: 'p', properties: {className: ['markdown-alert-title']}, children: [{type: 'text', value: title}]})
}
