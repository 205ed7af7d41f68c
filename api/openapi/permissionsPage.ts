import {
  isScope,
  isTenantAction,
  ownActionNames,
  ownActions,
  platformActionNames,
  platformActions,
  roles,
  tenantActionNames,
  tenantActions,
  type Permission,
} from '../../domain/identity/permissions';
import type { Route } from '../route';

/** Who may do what, and by which operation, as a page of Markdown made of the tables that decide it. */
export function permissionsPage(routes: readonly Route[]): string {
  return [
    '# Who may do what',
    'Made from the table of permissions and the declarations of the routes by `npm run docs:permissions`; a test fails when it is stale. Each operation of `/openapi.json` names its permission as `x-permission`.',
    '## In a tenant',
    'A person has a role in each tenant they work in. An API key has the permissions it was given as scopes, of those that can be scopes.',
    tableOf(
      ['Permission', 'Lets one', ...roles, 'API key'],
      tenantActionNames.map((name) => [
        `\`${name}\``,
        tenantActions[name].means,
        ...roles.map((role) => mark(tenantActions[name].roles.some((one) => one === role))),
        mark(isScope(name)),
      ]),
    ),
    '## For oneself',
    'Whoever is signed in, whatever their role, in a tenant or in none. API keys have none of these.',
    tableOf(
      ['Permission', 'Lets one'],
      ownActionNames.map((name) => [`\`${name}\``, ownActions[name]]),
    ),
    '## On the platform',
    'Platform admins alone. Acting as somebody else, they have what that person has, but for changing profile, tenant, members and API keys.',
    tableOf(
      ['Permission', 'Lets one'],
      platformActionNames.map((name) => [`\`${name}\``, platformActions[name]]),
    ),
    '## By operation',
    tableOf(
      ['Permission', 'Operations'],
      [...tenantActionNames, ...ownActionNames, ...platformActionNames].map((name) => [
        `\`${name}\``,
        operationsOf(name, routes),
      ]),
    ),
    '',
  ]
    .join('\n\n')
    .replace(/\n+$/, '\n');
}

/** What an operation needs, as a sentence of its description. */
export function neededText(permission: Permission): string {
  if (!isTenantAction(permission)) {
    return Object.hasOwn(platformActions, permission)
      ? `Needs \`${permission}\`: platform admins.`
      : `Needs \`${permission}\`: whoever is signed in.`;
  }
  const needs = `Needs \`${permission}\`: ${tenantActions[permission].roles.join(', ')}`;
  return `${needs}${isScope(permission) ? ', or an API key with this scope' : ''}.`;
}

function operationsOf(permission: Permission, routes: readonly Route[]): string {
  const operations = routes
    .filter((route) => route.permission === permission)
    .map((route) => `\`${route.method.toUpperCase()} ${route.path}\``);
  return operations.length === 0 ? 'outside of this interface' : operations.join(', ');
}

function mark(isSo: boolean): string {
  return isSo ? 'yes' : '';
}

// Aligned as the formatter of this repository aligns tables.
function tableOf(head: readonly string[], rows: readonly string[][]): string {
  const widths = head.map((title, column) =>
    Math.max(3, title.length, ...rows.map((row) => (row[column] ?? '').length)),
  );
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}
