// A table of which only the rows on the screen exist. Rows are keyed: a row that moves keeps its
// element, and with it focus and selection; a row that changes is patched in place.

import { attribute, framed, h } from '../dom.js';

/** Rows kept beyond each edge of the screen. */
const MARGIN = 6;

/** A windowed table inside the scrolling element `scroller`. `make(item)` builds a row, `patch(row, item)` fills it. */
export class Windowed {
  constructor({ scroller, caption, columns, make, patch }) {
    this.scroller = scroller;
    this.make = make;
    this.patch = patch;
    this.items = [];
    this.index = new Map();
    this.shown = new Map();
    this.dirty = new Set();
    this.active = null;
    this.height = 0;
    this.before = h('tr', { class: 'space', 'aria-hidden': 'true' });
    this.after = h('tr', { class: 'space', 'aria-hidden': 'true' });
    this.body = h('tbody', {}, this.before, this.after);
    this.element = h('table', { class: 'rows' }, h('caption', { class: 'unseen' }, caption),
      h('thead', {}, h('tr', {}, columns.map(({ label, name }) => h('th', { scope: 'col', class: name }, label)))), this.body);
    this.draw = framed(() => this.render());
    this.resized = new ResizeObserver(() => {
      this.height = 0;
      this.draw();
    });
    scroller.addEventListener('scroll', this.draw, { passive: true });
    this.resized.observe(scroller);
  }

  /** Ends its listening. */
  close() {
    this.draw.cancel();
    this.resized.disconnect();
    this.scroller.removeEventListener('scroll', this.draw);
  }

  /** Shows these items, each with a `key`, in this order. */
  set(items) {
    this.items = items;
    this.index = new Map(items.map((item, at) => [item.key, at]));
    attribute(this.element, 'aria-rowcount', items.length + 1);
    if (this.shown.size) this.draw();
    else this.draw.now();
  }

  /** Patches an item's row if it is on the screen. */
  touch(key) {
    if (this.shown.has(key)) {
      this.dirty.add(key);
      this.draw();
    }
  }

  /** Goes `step` rows from the active one and focuses that row's link. */
  move(step) {
    if (!this.items.length) return;
    const at = this.index.get(this.active);
    const next = at === undefined ? this.first() : Math.max(0, Math.min(this.items.length - 1, at + step));
    this.focus(next);
  }

  /** The first row wholly on the screen. */
  first() {
    return Math.max(0, Math.min(this.items.length - 1, Math.ceil((this.scroller.scrollTop - this.top()) / this.measure())));
  }

  focus(at) {
    const item = this.items[at];
    if (!item) return;
    this.active = item.key;
    const height = this.measure();
    const head = this.element.tHead.offsetHeight + (parseFloat(getComputedStyle(this.element).getPropertyValue('--covered')) || 0);
    const top = this.top() + at * height;
    const { scrollTop, clientHeight } = this.scroller;
    if (top - head < scrollTop) this.scroller.scrollTop = Math.max(0, top - head);
    else if (top + height > scrollTop + clientHeight) this.scroller.scrollTop = top + height - clientHeight + 8;
    this.render();
    this.shown.get(item.key)?.row.querySelector('a, button')?.focus({ preventScroll: true });
  }

  top() {
    const frame = this.body.getBoundingClientRect().top - this.scroller.getBoundingClientRect().top;
    return frame + this.scroller.scrollTop;
  }

  measure() {
    if (!this.height) this.height = parseFloat(getComputedStyle(this.element).getPropertyValue('--row')) || 56;
    return this.height;
  }

  render() {
    // Without rows nothing is measured.
    if (!this.element.isConnected || (!this.items.length && !this.shown.size)) return;
    const height = this.measure();
    const start = this.scroller.scrollTop - this.top();
    const from = Math.max(0, Math.min(this.items.length, Math.floor(start / height) - MARGIN));
    const to = Math.min(this.items.length, Math.ceil((start + this.scroller.clientHeight) / height) + MARGIN);
    const wanted = new Set();
    for (let at = from; at < to; at += 1) wanted.add(this.items[at].key);
    for (const [key, { row }] of this.shown) {
      if (wanted.has(key)) continue;
      row.remove();
      this.shown.delete(key);
    }
    this.before.style.height = `${from * height}px`;
    this.after.style.height = `${(this.items.length - Math.max(to, from)) * height}px`;
    let place = this.before.nextSibling;
    for (let at = from; at < to; at += 1) place = this.place(this.items[at], at, place);
    this.dirty.clear();
  }

  place(item, at, place) {
    let known = this.shown.get(item.key);
    if (!known) {
      known = { row: this.make(item), item: null };
      this.shown.set(item.key, known);
    }
    const { row } = known;
    if (known.item !== item || this.dirty.has(item.key)) {
      this.patch(row, item);
      known.item = item;
    }
    attribute(row, 'aria-rowindex', at + 2);
    attribute(row, 'data-active', item.key === this.active ? '' : null);
    if (row === place) return place.nextSibling;
    this.body.insertBefore(row, place);
    return place;
  }
}
