/** Everything the audit log tells of, each with what an entry of it says. */
export const auditActions = {
  'tenant.registered': 'A tenant and its first owner were registered.',
  'tenant.created': 'Somebody with an account created another tenant, and owns it.',
  'tenant.changed': 'Name, time zone or languages of the tenant were written.',
  'tenant.ended': 'An owner ended the tenant: nobody works in it any more.',
  'tenant.subscriptionChanged': 'The plan of the tenant, its end or its limits were changed.',
  'tenant.suspended': 'The platform suspended the tenant; what it was sending is paused.',
  'tenant.resumed': 'The platform let the tenant go on, with what its suspension had paused.',
  'tenant.sendingRulesChanged': 'Quiet hours or frequency caps of the tenant were written.',

  'audit.exported': 'The audit log was taken out as a file.',

  'invitation.sent': 'Somebody was invited to the tenant by mail.',
  'invitation.resent': 'An invitation was sent again, with another link.',
  'invitation.revoked': 'An invitation was taken back.',
  'invitation.accepted': 'Somebody who was invited works in the tenant now.',
  'member.roleChanged': 'Somebody was given another role in the tenant.',
  'member.removed': 'Somebody was taken out of the tenant.',
  'member.left': 'Somebody left the tenant.',

  'apiKey.created': 'An API key was created.',
  'apiKey.changed': 'Name, scopes, expiry or networks of an API key were written.',
  'apiKey.revoked': 'An API key was revoked.',
  'apiKey.refused':
    'An API key was used that was revoked or over, or from where it may not be; said once a minute.',

  'user.profileChanged': 'A person wrote their own profile.',
  'user.passwordChanged': 'A person chose another password; their other sessions ended.',
  'user.madePlatformAdmin': 'Somebody at the machine made a person a platform admin.',
  'user.suspended': 'The platform suspended a person everywhere.',
  'user.resumed': 'The platform let a suspended person sign in again.',
  'user.impersonated':
    'A platform admin began to act as somebody; what they do names them as the impersonator.',
  'user.tenantSwitched': 'A person goes on in this tenant.',
  'user.loggedIn': 'A person logged in.',
  'user.loginFailed':
    'An address and a password did not fit; an unknown address is kept as a keyed hash alone.',

  'user.lockedOut': 'There were so many wrong attempts with an address that no more are looked at.',
  'user.loggedOut': 'A person ended their session.',
  'user.loggedOutEverywhere': 'A person ended all of their sessions.',
  'session.revoked': 'A person ended another session of theirs.',
  'session.refreshReused':
    'A refresh token was shown a second time, so that its session was ended.',
  'user.steppedUp': 'A person showed again that it is them, for something dangerous.',
  'user.stepUpFailed': 'Somebody who was signed in could not show that it is them.',
  'user.resetAsked': 'A mail to set a new password was asked for and sent.',
  'user.passwordReset': 'A person set a new password by mail; all of their sessions ended.',
  'user.emailVerified': 'A person showed that an address is theirs.',
  'user.mfaEnabled': 'A person logs in with a second factor from then on.',
  'user.mfaDisabled': 'A person logs in without a second factor from then on.',
  'user.recoveryCodesRenewed': 'A person got new recovery codes; those before are over.',
  'user.recoveryCodeUsed': 'A person logged in with a recovery code in place of the second factor.',

  'signingKey.rotated': 'A new key was made to sign access tokens.',

  'llmAccount.created': 'An account at a vendor of language models was added.',
  'llmAccount.changed': 'An account at a vendor of language models was changed.',
  'llmAccount.deleted': 'An account at a vendor of language models was removed.',
  'llmAccount.paused': 'No call is made with any key of an account of language models.',
  'llmAccount.resumed': 'An account of language models serves again.',
  'llmAccount.drained': 'An account of language models ends what it began.',
  'llmAccount.probed': 'A vendor of language models was asked about an account and all its keys.',
  'llmKey.created': 'A key at a vendor of language models was added.',
  'llmKey.changed': 'A key at a vendor of language models was changed, but for the key itself.',
  'llmKey.paused': 'No call is made with a key at a vendor of language models.',
  'llmKey.resumed': 'A key at a vendor of language models serves again.',
  'llmKey.drained': 'A key at a vendor of language models ends what it began.',
  'llmKey.revoked': 'A key at a vendor of language models is never used again.',
  'llmKey.rotated': 'A new key came in the place of one that ends what it began.',
  'llmKey.replaced': 'A new key came in the place of one that was revoked at once.',
  'llmKey.probed': 'A vendor of language models was asked about a key.',
  'llmKey.deleted': 'A key at a vendor of language models was removed.',
  'llmBudget.created': 'What may be spent on language models was bounded.',
  'llmBudget.changed': 'What may be spent on language models was changed.',
  'llmBudget.deleted': 'A bound of what may be spent on language models was removed.',
  'llmSettings.changed': 'How a tenant’s calls of language models are made was written.',
  'llmModel.changed': 'A language model was switched, made the default, or given fallbacks.',
  'llmPrompt.read': 'A person was shown what was asked and answered in a call of a language model.',

  'providerAccount.created': 'An account at a vendor was added.',
  'providerAccount.changed': 'An account at a vendor was changed, but for its credentials.',
  'providerAccount.credentialsChanged': 'What opens an account at a vendor was written anew.',
  'providerAccount.tested': 'A vendor was asked whether an account may send.',
  'providerAccount.madeDefault': 'Messages of a channel leave by this account from then on.',
  'providerAccount.defaultCleared': 'Messages of a channel leave by this account no longer.',
  'providerAccount.limitsChanged': 'How many calls an account may make was written.',
  'providerAccount.blockLifted':
    'Calls by an account were let go before its vendor’s time was over.',
  'providerAccount.deleted': 'An account at a vendor was removed, with what opens it.',

  'codec.signedIn': 'A person signed in at the codec server.',
  'codec.signedOut': 'A person signed out at the codec server.',
  'dataKey.rotated': 'Payloads of workflows were given a new key.',
  'workflow.decoded': 'A person was shown what workflows hold, so many payloads of it.',

  'campaign.scheduled': 'A campaign was scheduled or sent.',
  'campaign.rescheduled': 'What a campaign had not sent yet was moved to another time.',
  'campaign.paused': 'A campaign was kept from calling its provider.',
  'campaign.resumed': 'A paused campaign was let go on.',
  'campaign.cancelled': 'A campaign was ended; what it had not sent is cancelled.',
  'campaign.doubtSettled': 'A person said what became of a call in doubt.',
  'campaign.doubtsSettled': 'A person said what became of all calls of a run that were in doubt.',

  'suppression.added': 'An address was kept from being written to.',
  'suppression.removed': 'An address may be written to again.',
  'import.started': 'A file of customers was taken in.',
  'customer.deleted': 'A customer was removed.',
} as const;

export type AuditAction = keyof typeof auditActions;

/** Kinds of who acts: `operator` is a person at the machine, `system` the product by itself. */
export const auditActorKinds = ['user', 'apiKey', 'system', 'operator', 'anonymous'] as const;

export type AuditActorKind = (typeof auditActorKinds)[number];

/** Whether the text names an action of the log. */
export function isAuditAction(text: string): text is AuditAction {
  return Object.hasOwn(auditActions, text);
}
