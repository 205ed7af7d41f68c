import Router from '@koa/router';
import { isTenantAction } from '../domain/identity/permissions';
import type { ApiMiddleware, ApiState } from './context';
import type { ApiDeps } from './deps';
import { campaignRoutes } from './campaigns/campaigns';
import { doubtRoutes } from './campaigns/doubts';
import { logRoutes } from './campaigns/logs';
import { messageRoutes } from './campaigns/messages';
import { metricsRoutes } from './campaigns/metrics';
import { previewRoutes } from './campaigns/preview';
import { progressRoutes } from './campaigns/progress';
import { schedulingRoutes } from './campaigns/scheduling';
import { sendingRulesRoutes } from './campaigns/sendingRules';
import { steeringRoutes } from './campaigns/steering';
import { testSendRoutes } from './campaigns/testSend';
import { contentRoutes } from './content/generations';
import { customerRoutes } from './customers/customers';
import { importRoutes } from './customers/imports';
import { suppressionRoutes } from './customers/suppressions';
import { handle } from './handle';
import { acceptInvitationRoutes } from './identity/acceptInvitations';
import { apiKeyRoutes } from './identity/apiKeys';
import { auditLogRoutes } from './identity/auditLog';
import { authRoutes } from './identity/auth';
import { mfaRoutes } from './identity/mfa';
import { passwordResetRoutes } from './identity/passwordReset';
import { stepUpRoutes } from './identity/stepUp';
import { emailVerificationRoutes } from './identity/emailVerification';
import { sessionRoutes } from './identity/sessions';
import { signingKeyRoutes } from './identity/signingKeys';
import { invitationRoutes } from './identity/invitations';
import { memberRoutes } from './identity/members';
import { tenantRoutes } from './identity/tenants';
import { userRoutes } from './identity/users';
import { authenticate } from './middleware/authenticate';
import { authorize } from './middleware/authorize';
import { requireStepUp } from './middleware/stepUp';
import { subscriptionRoutes } from './identity/subscriptions';
import { countCalls } from './middleware/countCalls';
import { limitStrangers, rateLimit } from './middleware/rateLimit';
import { createRateLimits, type RateLimits } from './rateLimits';
import { llmAccountRoutes } from './llm/accounts';
import { llmBudgetRoutes } from './llm/budgets';
import { llmChatRoutes } from './llm/chat';
import { llmKeyRoutes } from './llm/keys';
import { llmKeyStatusRoutes } from './llm/keyStatus';
import { llmAccountSteeringRoutes } from './llm/accountSteering';
import { llmReplacingRoutes } from './llm/replacing';
import { llmSteeringRoutes } from './llm/steering';
import { llmModelRoutes } from './llm/models';
import { llmSettingsRoutes } from './llm/settings';
import { llmUsageRoutes } from './llm/usage';
import { transactionalRoutes } from './messages/messages';
import { operationRoutes } from './operations/operations';
import { platformTenantRoutes } from './platform/tenants';
import { platformUserRoutes } from './platform/users';
import type { Route } from './route';
import { providerAccountRoutes } from './providerAccounts/accounts';
import { connectionTestRoutes } from './providerAccounts/connectionTest';
import { providerAccountDefaultRoutes } from './providerAccounts/defaults';
import { providerLimitRoutes } from './providerAccounts/limits';
import { clickRoutes } from './tracking/clicks';
import { openRoutes } from './tracking/opens';
import { preferenceRoutes } from './tracking/preferences';
import { unsubscribeRoutes } from './tracking/unsubscribes';
import { metaWebhookRoutes } from './webhooks/meta';
import { sendGridWebhookRoutes } from './webhooks/sendgrid';
import { twilioWebhookRoutes } from './webhooks/twilio';

/** Every endpoint. The router and the OpenAPI document are both made of this list. */
export const routes: readonly Route[] = [
  ...operationRoutes,
  ...authRoutes,
  ...sessionRoutes,
  ...emailVerificationRoutes,
  ...passwordResetRoutes,
  ...mfaRoutes,
  ...stepUpRoutes,
  ...signingKeyRoutes,
  ...userRoutes,
  ...auditLogRoutes,
  ...tenantRoutes,
  ...memberRoutes,
  ...invitationRoutes,
  ...acceptInvitationRoutes,
  ...subscriptionRoutes,
  ...apiKeyRoutes,
  ...platformTenantRoutes,
  ...platformUserRoutes,
  ...importRoutes,
  ...customerRoutes,
  ...suppressionRoutes,
  ...campaignRoutes,
  ...schedulingRoutes,
  ...steeringRoutes,
  ...sendingRulesRoutes,
  ...progressRoutes,
  ...metricsRoutes,
  ...doubtRoutes,
  ...messageRoutes,
  ...transactionalRoutes,
  ...logRoutes,
  ...previewRoutes,
  ...testSendRoutes,
  ...contentRoutes,
  ...providerAccountRoutes,
  ...providerAccountDefaultRoutes,
  ...connectionTestRoutes,
  ...providerLimitRoutes,
  ...llmAccountRoutes,
  ...llmKeyStatusRoutes,
  ...llmAccountSteeringRoutes,
  ...llmSteeringRoutes,
  ...llmReplacingRoutes,
  ...llmKeyRoutes,
  ...llmBudgetRoutes,
  ...llmSettingsRoutes,
  ...llmModelRoutes,
  ...llmUsageRoutes,
  ...llmChatRoutes,
  ...sendGridWebhookRoutes,
  ...twilioWebhookRoutes,
  ...metaWebhookRoutes,
  ...clickRoutes,
  ...openRoutes,
  ...unsubscribeRoutes,
  ...preferenceRoutes,
];

/** Koa's router of these routes, each behind the walls that its declaration asks for. */
export function createRouter(list: readonly Route[], deps: ApiDeps): Router<ApiState> {
  const router = new Router<ApiState>();
  const limits = createRateLimits(deps);
  for (const route of list) {
    router.register(route.path, [route.method], pipeline(route, deps, limits));
  }
  return router;
}

function pipeline(route: Route, deps: ApiDeps, limits: RateLimits): ApiMiddleware[] {
  const named: ApiMiddleware = (context, next) => {
    context.state.routePattern = route.path;
    return next();
  };
  const limited = route.limit === 'none' ? [] : [rateLimit(limits, route.limit)];
  if (route.permission === 'public') {
    return [named, ...limited, handle(route, deps, limits)];
  }
  // Whoever has used up their calls must still get to see that they have.
  const isCounted = isTenantAction(route.permission) && route.permission !== 'subscription:read';
  return [
    named,
    limitStrangers(limits),
    authenticate(deps),
    ...limited,
    authorize(route.permission),
    ...(route.stepUp ? [requireStepUp] : []),
    ...(isCounted ? [countCalls(deps.quotas)] : []),
    handle(route, deps, limits),
  ];
}
