import { readFileSync } from 'node:fs';
import path from 'node:path';
import { openApiDocument } from '../../api/openapi/document';
import { permissionsPage } from '../../api/openapi/permissionsPage';
import { routes } from '../../api/router';
import {
  isPermission,
  isScope,
  ownActionNames,
  permissionsOf,
  platformActionNames,
  tenantActionNames,
} from '../../domain/identity/permissions';

/** Whoever adds a permission that opens something else than a route says so here. */
const elsewhere = ['workflow:decode'];

test('docs/PERMISSIONS.md tells what the code does; run `npm run docs:permissions`', () => {
  const stored = readFileSync(path.resolve('docs/PERMISSIONS.md'), 'utf8');
  expect(stored).toBe(permissionsPage(routes));
});

test('every permission opens a route, and no route asks for one that nobody has', () => {
  const asked = new Set<string>(routes.map(({ permission }) => permission));
  const all = [...tenantActionNames, ...ownActionNames, ...platformActionNames];
  expect(all.filter((name) => !asked.has(name) && !elsewhere.includes(name))).toEqual([]);
  expect([...asked].filter((name) => name !== 'public' && !isPermission(name))).toEqual([]);
  expect(tenantActionNames.filter((name) => !permissionsOf('owner').has(name))).toEqual([]);
});

test('the document names the permission of each operation, and who has it', () => {
  const document: unknown = JSON.parse(JSON.stringify(openApiDocument(routes)));
  for (const route of routes.filter(({ permission }) => permission !== 'public')) {
    const place = route.path.replace(/:(\w+)/g, '{$1}');
    expect(document).toHaveProperty(
      ['paths', place, route.method, 'x-permission'],
      route.permission,
    );
    expect(document).toHaveProperty(
      ['paths', place, route.method, 'description'],
      expect.stringContaining(`Needs \`${route.permission}\``),
    );
  }
});

test('no key can be given what makes keys, moves people or ends the tenant', () => {
  const never = tenantActionNames.filter((name) => !isScope(name));
  expect(never).toEqual(
    expect.arrayContaining([
      'tenant:write',
      'member:read',
      'member:write',
      'apiKey:read',
      'apiKey:write',
    ]),
  );
  expect([...ownActionNames, ...platformActionNames].some(isScope)).toBe(false);
});
