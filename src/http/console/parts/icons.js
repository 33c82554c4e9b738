// Line icons on a grid of 20, drawn with the text's colour.

import { s } from '../dom.js';

const PATHS = {
  recommendations: 'M3 5h9M3 10h9M3 15h6M15 4v12M15 16l-2.5-2.5M15 16l2.5-2.5',
  subjects: 'M10 2.8l6.500 3.600v7.200L10 17.200l-6.500-3.600V6.400zM3.700 6.500L10 10l6.300-3.500M10 10v7',
  agents: 'M2.500 11h3l2-6 4 10.500 2.500-7 1 2.500h2.500',
  rules: 'M5 2.800h7.500L16 6.300v10.900H5zM12.300 3v3.500H16M7.500 10h6M7.500 13h4',
  'dead-letters': 'M2.800 5h14.400v10.500H2.800zM3 5.500l7 5.500 7-5.500',
  topology: 'M2.500 8h4v4h-4zM13.500 3h4v4h-4zM13.500 13h4v4h-4zM6.500 10h3.500M10 5v10M10 5h3.500M10 15h3.500',
  ask: 'M3 4h14v10H9l-3.500 3v-3H3zM7 8h6M7 10.800h3.500',
  search: 'M9 3.500a5.500 5.500 0 1 0 0 11 5.500 5.500 0 0 0 0-11zM13 13l4 4',
  help: 'M10 2.800a7.200 7.200 0 1 0 0 14.400 7.200 7.200 0 0 0 0-14.400zM7.900 8c.2-2.800 4.300-2.600 4.200 0 0 1.700-2.100 1.700-2.100 3.300M10 13.800v.2',
  light: 'M10 6.500a3.500 3.500 0 1 0 0 7 3.500 3.500 0 0 0 0-7zM10 2v1.500M10 16.500V18M2 10h1.500M16.500 10H18M4.300 4.300l1.100 1.100M14.600 14.600l1.100 1.100M15.700 4.300l-1.100 1.100M5.400 14.600l-1.100 1.100',
  dark: 'M16.500 12.200A7 7 0 0 1 7.800 3.500a7 7 0 1 0 8.700 8.700z',
  system: 'M3 4h14v9.500H3zM7 17h6M10 13.500V17',
  back: 'M12.500 4.500L7 10l5.500 5.500',
  down: 'M5 7.500l5 5 5-5',
  close: 'M5 5l10 10M15 5L5 15',
  arrow: 'M4 10h12M11.500 5.500L16 10l-4.500 4.500',
  replay: 'M4 10a6 6 0 1 0 2-4.500M4.500 3v3.200h3.200',
  check: 'M4 10.500l4 4 8-9',
  clock: 'M10 3a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM10 6v4.200l2.700 1.800',
  warn: 'M10 3.200L17.500 16.500h-15zM10 8.300v3.700M10 14v.3',
  copy: 'M7 7h9.500v9.500H7zM4 13H3.500V3.500H13V4',
  cloud: 'M5.500 15.500a3.200 3.200 0 0 1-.3-6.400 4.800 4.800 0 0 1 9.300-.6 3.500 3.500 0 0 1 .3 7z',
  record: 'M4 4h12v12H4zM7 8h6M7 11.500h4',
  finding: 'M10 3a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM10 6.500v4M10 13v.3',
  recommendation: 'M10 2.800l2.200 4.700 5.100.6-3.800 3.500 1 5-4.500-2.500-4.500 2.500 1-5L2.700 8.100l5.100-.6z',
};

/** An icon that says nothing by itself: put words beside it or on its button. */
export function icon(name, size = 18) {
  return s('svg', { class: 'icon', viewBox: '0 0 20 20', width: size, height: size, 'aria-hidden': 'true' }, s('path', { d: PATHS[name] ?? PATHS.record }));
}
