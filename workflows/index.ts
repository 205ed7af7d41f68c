export { campaign } from './campaigns/campaign';
export { campaignRun } from './campaigns/run';
export { testSend } from './campaigns/testSend';
export { campaignWave } from './campaigns/wave';
export { reconcile } from './campaigns/reconcile';
export { transactional } from './transactional/transactional';
export { applyProviderEvents } from './messages/applyProviderEvents';
export { resealing } from './identity/resealing';
