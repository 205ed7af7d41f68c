import { z } from 'zod';
import type { Route } from '../route';
import type { JsonSchema } from './components';

/** Where what was made is found when that is not below the path it was made by; null for nowhere yet. */
const collections: Readonly<Record<string, string | null>> = {
  // One works in another tenant only after switching to it.
  createTenant: null,
  sendCampaignTest: '/api/v1/campaigns/:id/test-sends',
  uploadCustomers: '/api/v1/imports',
};

/** What may be done with a thing that the answer of a POST tells the id of, as OpenAPI links. */
export function linksOf(
  route: Route,
  answer: z.ZodType,
  routes: readonly Route[],
): Record<string, JsonSchema> {
  if (route.method !== 'post' || !(answer instanceof z.ZodObject) || !('id' in answer.shape)) {
    return {};
  }
  const { [route.name]: collection = route.path } = collections;
  if (collection === null) {
    return {};
  }
  const known = paramsOf(collection);
  const links = routes.flatMap(({ name, path }): [string, JsonSchema][] => {
    const [made, ...others] = paramsOf(path).slice(known.length);
    if (!path.startsWith(`${collection}/:`) || made === undefined || others.length > 0) {
      return [];
    }
    const parameters = {
      ...Object.fromEntries(known.map((param) => [param, `$request.path.${param}`])),
      [made]: '$response.body#/data/id',
    };
    return [[name, { operationId: name, parameters }]];
  });
  return Object.fromEntries(links);
}

function paramsOf(path: string): string[] {
  return [...path.matchAll(/:(\w+)/g)].map(([, name]) => name ?? '');
}
