// Requests to the API of the process that served this page. Errors carry the problem's own words.

const BASE = '/api/v1';
/** Longest wait for an answer, in milliseconds; the server gives up on its own after 30 s. */
const PATIENCE_MS = 35_000;

let token = null;
try {
  token = sessionStorage.getItem('skyherd.token');
} catch {
  // Storage is refused: the token lives as long as the page.
}
const wanting = new Set();

/** What the API answered instead of what was asked. */
export class ApiError extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || `the server answered ${status}`);
    this.status = status;
    this.title = problem.title ?? '';
    this.hint = problem.hint ?? '';
    this.code = problem.code ?? '';
  }
  /** Whether the process could not be reached at all. */
  get away() {
    return this.status === 0;
  }
}

/** Headers that say who asks. */
export const credentials = () => (token ? { authorization: `Bearer ${token}` } : {});

/** Sets the bearer token for this tab; `null` forgets it. */
export function setToken(value) {
  token = value || null;
  try {
    if (token) sessionStorage.setItem('skyherd.token', token);
    else sessionStorage.removeItem('skyherd.token');
  } catch {
    // As above.
  }
}

/** Calls `tell` with the problem's code whenever the API asks for a token. */
export function onTokenWanted(tell) {
  wanting.add(tell);
}

/** Query text of the set values, in order. */
export function query(values) {
  const pairs = new URLSearchParams();
  for (const [name, value] of Object.entries(values ?? {})) {
    if (value !== undefined && value !== null && value !== '') pairs.append(name, value);
  }
  const text = pairs.toString();
  return text ? `?${text}` : '';
}

/** A path with each part escaped; a subject's slashes stay. */
export const path = (...names) => names.map((name) => String(name).split('/').map(encodeURIComponent).join('/')).join('/');

async function read(response) {
  const body = await response.text();
  let value;
  try {
    value = body ? JSON.parse(body) : null;
  } catch {
    if (response.ok) throw new ApiError(response.status, { title: 'the answer is no JSON', hint: 'is something between the console and skyherd?' });
  }
  if (response.ok) return value;
  if (response.status === 401) for (const tell of wanting) tell(value?.code);
  throw new ApiError(response.status, value ?? {});
}

async function call(address, options = {}) {
  const patience = AbortSignal.timeout(PATIENCE_MS);
  const signal = options.signal ? AbortSignal.any([options.signal, patience]) : patience;
  let response;
  try {
    response = await fetch(BASE + address, { ...options, signal, headers: { ...credentials(), ...options.headers } });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new ApiError(0, { title: 'skyherd does not answer', hint: 'it may be restarting; the console tries again by itself' });
  }
  return read(response);
}

/** GET. `signal` ends it when the view is left. */
export const get = (address, values, signal) => call(address + query(values), { signal });

/** POST of JSON. */
export const post = (address, body) =>
  call(address, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body ?? {}) });

/** The answer to the request that was sent before the modules were there, once. */
export function takeFirst() {
  const first = window.skyherdFirst;
  window.skyherdFirst = undefined;
  return first ? first.then(read) : null;
}
