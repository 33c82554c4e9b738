// Numbers, times and names as people read them. All times are shown in the reader's zone, with the
// exact UTC instant in the title.

// Written out by hand: making the browser's own formatters takes longer than all else a first page needs.
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const two = (n) => String(n).padStart(2, '0');
/** `-1234567.5` with so many decimals: `-1,234,567.50`. */
const grouped = (value, decimals = 0) => {
  const [digits, rest] = Math.abs(value).toFixed(decimals).split('.');
  const text = digits.replaceAll(/\B(?=(\d{3})+$)/g, ',') + (rest ? `.${rest}` : '');
  return value < 0 && Number(text.replaceAll(',', '')) ? `-${text}` : text;
};
const dollars = (value, decimals) => grouped(value, decimals).replace(/^-?/, '$&$$');

/** Severities, worst first. */
export const SEVERITIES = ['critical', 'high', 'medium', 'low', 'info'];
/** Agents in the order data flows. */
export const AGENTS = ['resource', 'cost', 'security', 'performance', 'coordinator'];

/** `1,234`. */
export const count = (value) => grouped(value ?? 0);

/** USD a month without cents from 100 on. */
export function money(value) {
  const amount = Number(value ?? 0);
  return Math.abs(amount) >= 100 || Number.isInteger(amount) ? dollars(amount, 0) : dollars(amount, 2);
}

/** Three significant digits with a metric prefix: `12.4k`, `0.03`. */
export function short(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  for (const [unit, letter] of [[1e9, 'G'], [1e6, 'M'], [1e4, 'k']]) {
    if (size >= unit) {
      const scaled = value / (letter === 'k' ? 1e3 : unit);
      return `${Number(scaled.toPrecision(3))}${letter}`;
    }
  }
  return size >= 100 ? grouped(value) : String(Number(value.toPrecision(3)));
}

/** A measurement with its unit. */
export function measure(value, unit) {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–';
  if (unit === 'ms' || unit === 'milliseconds') return span(value);
  if (unit === 's' || unit === 'seconds' || unit === 'Seconds') return span(value * 1_000);
  if (unit === 'bytes' || unit === 'Bytes') return bytes(value);
  if (unit === 'percent' || unit === 'Percent' || unit === '%') return `${short(value)} %`;
  return unit && unit !== 'None' && unit !== '1' ? `${short(value)} ${unit}` : short(value);
}

/** Bytes in binary steps. */
export function bytes(value) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let size = value ?? 0;
  let step = 0;
  while (Math.abs(size) >= 1024 && step < units.length - 1) {
    size /= 1024;
    step += 1;
  }
  return `${step ? Number(size.toPrecision(3)) : size} ${units[step]}`;
}

/** A span of milliseconds in its largest fitting unit. */
export function span(ms) {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return '–';
  const size = Math.abs(ms);
  if (size < 1) return `${Number(ms.toPrecision(2))} ms`;
  if (size < 1_000) return `${Math.round(ms)} ms`;
  if (size < 60_000) return `${Number((ms / 1_000).toPrecision(2))} s`;
  if (size < 3_600_000) return `${Math.round(ms / 60_000)} min`;
  if (size < 172_800_000) return `${Math.round(ms / 3_600_000)} h`;
  return `${Math.round(ms / 86_400_000)} d`;
}

/** A time of day, `14:02:11`. */
export const timeOfDay = (at) => {
  const time = new Date(at);
  return [time.getHours(), time.getMinutes(), time.getSeconds()].map(two).join(':');
};
/** `3 Nov`. */
export const dayOf = (at) => {
  const time = new Date(at);
  return `${time.getDate()} ${MONTHS[time.getMonth()]}`;
};
/** `3 Nov 2026, 14:02`. */
export const when = (at) => {
  const time = new Date(at);
  return `${dayOf(at)} ${time.getFullYear()}, ${two(time.getHours())}:${two(time.getMinutes())}`;
};

/** How long ago: `now`, `12 s`, `5 min`, `3 h`, `4 d`, then the date. */
export function ago(at, now = Date.now()) {
  const ms = now - new Date(at).getTime();
  if (!Number.isFinite(ms)) return '–';
  if (ms < 0 || ms >= 30 * 86_400_000) return dayOf(at);
  return ms < 5_000 ? 'now' : span(ms);
}

/** The parts of `account/region/resource`. */
export function parts(subject) {
  const [account = '', region = '', ...rest] = String(subject).split('/');
  const kind = rest[0] ?? '';
  return { account, region, resource: rest.join('/'), kind, name: rest.slice(1).join('/') || kind };
}

/** `revoke_ingress` as words. */
export const words = (name) => String(name ?? '').replaceAll('_', ' ').replaceAll('-', ' ');
/** With a capital letter. */
export const capital = (name) => {
  const plain = words(name);
  return plain.charAt(0).toUpperCase() + plain.slice(1);
};
/** `1 row`, `2 rows`. */
export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;
/** How bad, as a number: higher is worse. */
export const badness = (severity) => SEVERITIES.length - SEVERITIES.indexOf(severity);
/** The first number in a text such as `3.1 % peak`. */
export function leadingNumber(value) {
  const found = /-?\d[\d,]*(?:\.\d+)?/.exec(String(value ?? ''));
  return found ? Number(found[0].replaceAll(',', '')) : null;
}
