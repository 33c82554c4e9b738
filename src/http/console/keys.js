// Keys. Single letters act only outside fields and can be switched off, since speech input types them.

import { h } from './dom.js';
import { dialog } from './parts/bits.js';

const KEYS = [
  ['/', 'Search in this view'],
  ['j  or  ↓', 'Next row'],
  ['k  or  ↑', 'Previous row'],
  ['enter', 'Open the row'],
  ['escape', 'Leave the field, close, or go back'],
  ['g r', 'Recommendations'],
  ['g s', 'Subjects'],
  ['g a', 'Agents'],
  ['g u', 'Rules'],
  ['g d', 'Dead letters'],
  ['g f', 'Flow'],
  ['g q', 'Ask'],
  ['t', 'Light, dark or as the system'],
  ['?', 'This help'],
];
const GO = { r: 'recommendations', s: 'subjects', a: 'agents', u: 'rules', d: 'dead-letters', f: 'flow', q: 'ask' };
/** How long after `g` its second key counts, in milliseconds. */
const CHORD_MS = 1_200;

let off = false;
try {
  off = localStorage.getItem('skyherd.keys') === 'off';
} catch {
  // Storage is refused: keys are on.
}

/** Opens the list of keys. */
export function help() {
  const box = h('input', { type: 'checkbox', checked: !off, onchange: () => {
    off = !box.checked;
    try {
      localStorage.setItem('skyherd.keys', off ? 'off' : 'on');
    } catch {
      // It then holds until the page is left.
    }
  } });
  dialog('Keys',
    h('dl', { class: 'keys' }, KEYS.map(([keys, what]) => h('div', {}, h('dt', {}, keys.split(/\s+/).map((key) => (key === 'or' ? ' or ' : h('kbd', {}, key)))), h('dd', {}, what)))),
    h('label', { class: 'check' }, box, h('span', {}, 'Single letters act as keys')));
}

function typing(node) {
  return node.closest?.('input, textarea, select, [contenteditable]');
}

/** Rows that arrows and j, k go through, in views without a windowed table. */
function step(main, by) {
  const links = [...main.querySelectorAll('[data-rows] [data-row]')].filter((node) => node.offsetParent);
  if (!links.length) return false;
  const at = links.indexOf(document.activeElement);
  links[Math.max(0, Math.min(links.length - 1, at < 0 ? 0 : at + by))].focus();
  return true;
}

/** Listens for keys. `view()` is the open view, which may have `move(step)` and `back`. */
export function listen({ view, go, theme }) {
  let chord = 0;
  document.addEventListener('keydown', (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (document.querySelector('dialog[open]')) return;
    const field = typing(event.target);
    if (event.key === 'Escape') {
      if (field) {
        if (field.type === 'search' && field.value) {
          field.value = '';
          field.dispatchEvent(new Event('input', { bubbles: true }));
        } else field.blur();
      } else if (view()?.back) go(view().back);
      return;
    }
    if (field) return;
    const main = document.getElementById('main');
    const arrow = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const letter = off ? 0 : { j: 1, k: -1 }[event.key];
    const by = letter || (arrow && (event.target === document.body || event.target === main || event.target.closest('[data-rows], .rows')) ? arrow : 0);
    if (by) {
      const moved = view()?.move ? (view().move(by), true) : step(main, by);
      if (moved) event.preventDefault();
      return;
    }
    if (off) return;
    if (event.key === '/') {
      const input = main.querySelector('[data-search]');
      if (input) {
        event.preventDefault();
        input.focus();
        input.select();
      }
    } else if (event.key === '?') {
      event.preventDefault();
      help();
    } else if (event.timeStamp - chord < CHORD_MS && GO[event.key]) {
      chord = 0;
      event.preventDefault();
      go(`#/${GO[event.key]}`);
    } else if (event.key === 'g') chord = event.timeStamp;
    else if (event.key === 't') theme();
  });
}
