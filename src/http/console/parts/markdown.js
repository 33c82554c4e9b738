// The markdown of rule pages as elements. Text only ever becomes text nodes, so nothing in a page can
// act as markup; links lead nowhere but to http, https and this console.

import { h } from '../dom.js';

const INLINE = /(`+)(.+?)\1|\*\*(.+?)\*\*|\*([^*\s][^*]*?)\*|\[([^\]]+)\]\(([^)\s]+)\)|<(https?:\/\/[^>\s]+)>/;

function link(text, target) {
  const safe = /^https?:\/\//i.test(target) || target.startsWith('#');
  if (!safe) return h('span', {}, inline(text));
  const outside = !target.startsWith('#');
  return h('a', { href: target, rel: outside ? 'noreferrer noopener' : null, target: outside ? '_blank' : null }, inline(text));
}

/** Text with code, strong, emphasis and links. */
export function inline(text) {
  const nodes = [];
  let rest = text;
  for (let found = INLINE.exec(rest); found; found = INLINE.exec(rest)) {
    if (found.index) nodes.push(rest.slice(0, found.index));
    const [all, , code, strong, emphasis, label, target, address] = found;
    if (code !== undefined) nodes.push(h('code', {}, code.trim()));
    else if (strong !== undefined) nodes.push(h('strong', {}, inline(strong)));
    else if (emphasis !== undefined) nodes.push(h('em', {}, inline(emphasis)));
    else if (target !== undefined) nodes.push(link(label, target));
    else nodes.push(link(address, address));
    rest = rest.slice(found.index + all.length);
  }
  if (rest) nodes.push(rest);
  return nodes;
}

function cells(line) {
  return line.trim().replace(/^\||\|$/g, '').split('|').map((cell) => cell.trim());
}

function block(lines, from, level) {
  const first = lines[from];
  const fence = /^(`{3,}|~{3,})\s*(\w*)/.exec(first);
  if (fence) {
    let to = from + 1;
    while (to < lines.length && !lines[to].startsWith(fence[1])) to += 1;
    return [h('pre', { tabindex: 0, data: { language: fence[2] } }, h('code', {}, lines.slice(from + 1, to).join('\n'))), to + 1];
  }
  const heading = /^(#{1,6})\s+(.*)$/.exec(first);
  if (heading) return [h(`h${Math.min(6, heading[1].length + level)}`, {}, inline(heading[2])), from + 1];
  if (/^(-{3,}|\*{3,})\s*$/.test(first)) return [h('hr'), from + 1];
  if (/^\s*([-*]|\d+[.)])\s+/.test(first)) return list(lines, from);
  if (/^>\s?/.test(first)) {
    let to = from;
    while (to < lines.length && /^>\s?/.test(lines[to])) to += 1;
    return [h('blockquote', {}, markdown(lines.slice(from, to).map((line) => line.replace(/^>\s?/, '')).join('\n'), level)), to];
  }
  if (first.includes('|') && /^[\s|:-]+-[\s|:-]*$/.test(lines[from + 1] ?? '')) {
    let to = from + 2;
    while (to < lines.length && lines[to].includes('|')) to += 1;
    return [h('div', { class: 'table-frame', tabindex: 0 }, h('table', { class: 'table' }, h('thead', {}, h('tr', {}, cells(first).map((cell) => h('th', { scope: 'col' }, inline(cell))))),
      h('tbody', {}, lines.slice(from + 2, to).map((line) => h('tr', {}, cells(line).map((cell) => h('td', {}, inline(cell)))))))), to];
  }
  let to = from + 1;
  while (to < lines.length && lines[to].trim() && !/^(#{1,6}\s|`{3}|~{3}|>|\s*[-*]\s|\d+[.)]\s)/.test(lines[to])) to += 1;
  return [h('p', {}, inline(lines.slice(from, to).join(' '))), to];
}

function list(lines, from) {
  const numbered = /^\s*\d/.test(lines[from]);
  const items = [];
  let to = from;
  while (to < lines.length && lines[to].trim()) {
    const item = /^\s*([-*]|\d+[.)])\s+(.*)$/.exec(lines[to]);
    if (item) items.push(item[2]);
    else items[items.length - 1] += ` ${lines[to].trim()}`;
    to += 1;
  }
  return [h(numbered ? 'ol' : 'ul', {}, items.map((item) => h('li', {}, inline(item)))), to];
}

/** Elements of a markdown text. Headings stand `level` deeper than written. */
export function markdown(text, level = 1) {
  const lines = String(text).replaceAll('\r\n', '\n').split('\n');
  const nodes = [];
  let at = 0;
  while (at < lines.length) {
    if (!lines[at].trim()) {
      at += 1;
      continue;
    }
    const [node, next] = block(lines, at, level);
    nodes.push(node);
    at = next;
  }
  return nodes;
}
