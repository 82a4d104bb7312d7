// A client of the API, generated from its description: `npm run generate` makes api.d.ts of api/openapi.json.

import createClient from 'openapi-fetch';
import type { components, paths } from './api.d.ts';

/// An error as the API answers it (RFC 9457).
export type Problem = components['schemas']['Problem'];

/// What is under `/v1` of the API at `baseUrl`, checked by the compiler: paths, parameters and answers.
export const client = (baseUrl: string) => createClient<paths>({ baseUrl, headers: { 'Accept-Language': 'en' } });

/// The answer, or the problem as an error.
export async function answered<T>(asked: Promise<{ data?: T; error?: unknown }>): Promise<T> {
  const { data, error } = await asked;
  if (data !== undefined) return data;
  const problem = error as Problem | undefined;
  throw new Error(problem ? `${problem.title}: ${problem.detail}` : 'the API does not answer');
}
