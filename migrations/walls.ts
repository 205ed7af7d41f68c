import type { Knex } from 'knex';

// The second wall between tenants. Roles are of the whole cluster and cannot log in; whoever logs in
// as the application becomes one of them for a transaction (models/base.ts).

/** Who a transaction of one tenant is. */
export const tenantRole = 'carillon_tenant';

/** Who a transaction is that looks across tenants for a named purpose. */
export const platformRole = 'carillon_platform';

export type Verb = 'select' | 'insert' | 'update' | 'delete';

/** What is commonly allowed. */
export const may = {
  read: ['select'],
  add: ['select', 'insert'],
  change: ['select', 'update'],
  keep: ['select', 'insert', 'update'],
  doAll: ['select', 'insert', 'update', 'delete'],
} as const satisfies Record<string, Verb[]>;

/** Who may do what with a table. Everything that is not here is refused. */
export interface Wall {
  /** What a tenant may do with its own rows. */
  tenant?: readonly Verb[];
  /** The columns a tenant may read, where it is not all of them. */
  columns?: readonly string[];
  /** SQL: which rows are the tenant's; those with its `tenant_id` unless told otherwise. */
  own?: string;
  /** SQL: which rows it may see beyond its own. */
  seen?: string;
  /** What each purpose of `CrossTenantPurpose` may do, with the rows of all tenants. */
  platform?: Readonly<Record<string, readonly Verb[]>>;
}

export type Walls = Readonly<Record<string, Wall>>;

/** SQL: the tenant a transaction belongs to; null outside of `withTenant`, which no row fits. */
export const thisTenant = `(select nullif(current_setting('carillon.tenant_id', true), '')::uuid)`;

const ownRows = `tenant_id = ${thisTenant}`;

/**
 * Raises the walls of tables, or raises them anew where there were some. Every migration that adds a
 * table calls it. The owner of the tables, who runs migrations, is not bound by them.
 */
export async function raiseWalls(knex: Knex, walls: Walls): Promise<void> {
  for (const [table, wall] of Object.entries(walls)) {
    await lowerWalls(knex, [table]);
    await knex.raw(`alter table ${table} enable row level security`);
    for (const statement of [...ofTenant(table, wall), ...ofPlatform(table, wall)]) {
      await knex.raw(statement);
    }
  }
}

/** Takes the walls of tables away, and with them all that the two roles may do. */
export async function lowerWalls(knex: Knex, tables: readonly string[]): Promise<void> {
  for (const table of tables) {
    const found = await knex.raw('select policyname as name from pg_policies where tablename = ?', [
      table,
    ]);
    const policies: { name: string }[] = found.rows;
    for (const { name } of policies) {
      await knex.raw(`drop policy ${name} on ${table}`);
    }
    await knex.raw(`revoke all on ${table} from ${tenantRole}, ${platformRole}`);
    await knex.raw(`alter table ${table} disable row level security`);
  }
}

/** Lets a purpose do more, with tables whose walls another migration raised. */
export async function admitPurpose(
  knex: Knex,
  purpose: string,
  tables: Readonly<Record<string, readonly Verb[]>>,
): Promise<void> {
  for (const [table, verbs] of Object.entries(tables)) {
    for (const statement of ofPlatform(table, { platform: { [purpose]: verbs } })) {
      await knex.raw(statement);
    }
  }
}

/** Takes from a purpose what `admitPurpose` gave it. A grant stays: without a policy it shows no row. */
export async function dismissPurpose(
  knex: Knex,
  purpose: string,
  tables: Readonly<Record<string, readonly Verb[]>>,
): Promise<void> {
  for (const [table, verbs] of Object.entries(tables)) {
    for (const verb of verbs) {
      await knex.raw(`drop policy ${policyName(verb, purpose)} on ${table}`);
    }
  }
}

/** Lets the roles call a function of ours; functions are everybody's unless they are taken away. */
export async function allowFunction(
  knex: Knex,
  signature: string,
  roles: readonly string[],
): Promise<void> {
  await knex.raw(`revoke all on function ${signature} from public`);
  await knex.raw(`grant execute on function ${signature} to ${roles.join(', ')}`);
}

function ofTenant(table: string, { tenant = [], columns, own = ownRows, seen }: Wall): string[] {
  const granted = tenant.map((verb) =>
    verb === 'select' && columns !== undefined ? `select (${columns.join(', ')})` : verb,
  );
  const policies = [
    `create policy tenant_own on ${table} to ${tenantRole} using (${own}) with check (${own})`,
    ...(seen === undefined
      ? []
      : [`create policy tenant_seen on ${table} for select to ${tenantRole} using (${seen})`]),
  ];
  return tenant.length === 0
    ? policies
    : [...policies, `grant ${granted.join(', ')} on ${table} to ${tenantRole}`];
}

// A condition on the purpose names no column: Postgres asks it once a table, not once a row.
function ofPlatform(table: string, { platform = {} }: Wall): string[] {
  return Object.entries(platform).flatMap(([purpose, verbs]) => {
    const fits = `current_setting('carillon.purpose', true) = '${purpose}'`;
    return [
      ...verbs.map(
        (verb) =>
          `create policy ${policyName(verb, purpose)} on ${table} for ${verb} to ${platformRole} ${clauses[verb](fits)}`,
      ),
      `grant ${verbs.join(', ')} on ${table} to ${platformRole}`,
    ];
  });
}

function policyName(verb: Verb, purpose: string): string {
  return `platform_${verb}_${purpose.toLowerCase()}`;
}

const clauses: Record<Verb, (fits: string) => string> = {
  select: (fits) => `using (${fits})`,
  insert: (fits) => `with check (${fits})`,
  update: (fits) => `using (${fits}) with check (${fits})`,
  delete: (fits) => `using (${fits})`,
};
