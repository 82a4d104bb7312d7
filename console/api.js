// The API, as anybody reads it.

import { language } from './words.js';

/// A problem document (RFC 9457), or that nothing answers at all (status 0).
export class ApiError extends Error {
  constructor(status, problem) {
    super(problem.detail ?? problem.title ?? `status ${status}`);
    this.status = status;
    this.problem = problem;
  }

  /// Whether this server does not have what was asked for: an older one, or one that is not set up for it.
  get isAbsent() {
    const type = this.problem.type ?? '';
    return this.status === 501 || type.endsWith(':unknown-path') || type.endsWith(':method-not-allowed')
      || type.endsWith(':not-configured');
  }

  get isForbidden() {
    return this.status === 401 || this.status === 403;
  }
}

const KEY = 'rebate.key';

/// An operator's key, for as long as the tab is open.
export const operatorKey = {
  get: () => sessionStorage.getItem(KEY),
  set: (key) => (key ? sessionStorage.setItem(KEY, key) : sessionStorage.removeItem(KEY)),
};

/// Answers by path with their tags: an unchanged one is not sent again.
const known = new Map();
const KNOWN_AT_MOST = 200;

async function send(path, options = {}) {
  const headers = { Accept: 'application/json', 'Accept-Language': language(), ...options.headers };
  const key = operatorKey.get();
  if (key) headers.Authorization = `Bearer ${key}`;
  try {
    return await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new ApiError(0, { title: error.message });
  }
}

async function problem(response) {
  const text = await response.text();
  try {
    return new ApiError(response.status, JSON.parse(text));
  } catch {
    return new ApiError(response.status, { title: text || response.statusText });
  }
}

/// Asks for a path. Throws ApiError.
export async function get(path, { signal } = {}) {
  const tagged = `${language()} ${operatorKey.get() ?? ''} ${path}`;
  const before = known.get(tagged);
  const response = await send(path, { signal, headers: before ? { 'If-None-Match': before.etag } : {} });
  if (response.status === 304 && before) return before.data;
  if (!response.ok) throw await problem(response);
  const data = await response.json();
  const etag = response.headers.get('ETag');
  if (etag) {
    known.delete(tagged);
    known.set(tagged, { etag, data });
    if (known.size > KNOWN_AT_MOST) known.delete(known.keys().next().value);
  }
  return data;
}

/// Sends something and reads the answer. Throws ApiError.
export async function post(path, body, { signal, method = 'POST', type = 'application/json' } = {}) {
  const text = type === 'application/json' ? JSON.stringify(body) : body;
  const response = await send(path, { method, signal, body: text, headers: { 'Content-Type': type } });
  if (!response.ok) throw await problem(response);
  return response.status === 204 ? null : response.json();
}

/// A path with its query; what is null or empty is left out.
export function path(base, query = {}) {
  const there = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== '');
  return there.length === 0 ? base : `${base}?${new URLSearchParams(there)}`;
}
