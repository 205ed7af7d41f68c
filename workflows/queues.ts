/** Task queues, one per limit: what shares a queue can hold each other up. */
export const queues = {
  /** Workflow tasks. */
  workflows: 'carillon-workflows',
  /** Short database work. */
  records: 'carillon-records',
  /** Slices of email campaigns: long activities that call the email provider. */
  email: 'carillon-email',
  /** Lanes of messages that are asked for one by one: nothing of a campaign runs here. */
  transactional: 'carillon-transactional',
  /** Calls to vendors of language models, which may take long. */
  llm: 'carillon-llm',
} as const;
