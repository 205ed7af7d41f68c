/** Task queues, one per limit: what shares a queue can hold each other up. */
export const queues = {
  /** Workflow tasks. */
  workflows: 'carillon-workflows',
  /** Short database work. */
  records: 'carillon-records',
  /** Slices of email campaigns: long activities that call the email provider. */
  email: 'carillon-email',
} as const;
