// Ids are `kind/{tenant}/…`; a kind whose second part is something else is not named here.
const ofTenants =
  /^(?:campaign|testSend|content|conversation|import)\/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:\/|$)/;

/** The tenant a workflow works for, as its id says; null for a workflow of the platform. */
export function tenantOfWorkflow(workflowId: string): string | null {
  return ofTenants.exec(workflowId)?.[1] ?? null;
}
