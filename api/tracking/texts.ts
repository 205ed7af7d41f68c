import type { PreferenceChannel } from '../../domain/tracking/preferences';
import type { ApiContext } from '../context';

/** What the pages say in one language; a function where a name stands in the sentence. */
export interface Texts {
  /** For the `lang` of the page. */
  language: string;
  unsubscribeTitle: string;
  unsubscribeFrom: (tenant: string) => string;
  noMore: Record<PreferenceChannel, string>;
  unsubscribe: string;
  choose: string;
  unsubscribedTitle: string;
  unsubscribed: string;
  canClose: string;
  unknownAddressTitle: string;
  unknownAddress: string;
  unknownAddressLine: string;
  notFoundTitle: string;
  notFound: string;
  notFoundLine: string;
  laterTitle: string;
  later: string;
  laterLine: string;
  preferencesTitle: string;
  preferences: (tenant: string) => string;
  preferencesLine: string;
  channelsLegend: string;
  channels: Record<PreferenceChannel, string>;
  blocked: string;
  save: string;
  allOff: string;
  allOffLine: string;
  saved: string;
  undo: string;
}

const en: Texts = {
  language: 'en',
  unsubscribeTitle: 'Unsubscribe',
  unsubscribeFrom: (tenant) => `Unsubscribe from ${tenant}?`,
  noMore: {
    email: 'They will send you no more emails.',
    sms: 'They will send you no more text messages.',
    whatsapp: 'They will send you no more WhatsApp messages.',
  },
  unsubscribe: 'Unsubscribe',
  choose: 'Choose what you get instead',
  unsubscribedTitle: 'Unsubscribed',
  unsubscribed: 'You are unsubscribed',
  canClose: 'You can close this page.',
  unknownAddressTitle: 'Not known any more',
  unknownAddress: 'Your address is not known here any more',
  unknownAddressLine:
    'It was removed from their list, so nothing is sent to it. Should you hear from them again, please unsubscribe in that message.',
  notFoundTitle: 'Not found',
  notFound: 'This address leads nowhere',
  notFoundLine: 'It may have been cut off. Please try the link in the message again.',
  laterTitle: 'One moment',
  later: 'Please try again in a moment',
  laterLine: 'We cannot answer right now. Nothing is lost: open the link again.',
  preferencesTitle: 'Your choices',
  preferences: (tenant) => `What may ${tenant} send you?`,
  preferencesLine: 'It holds for marketing, and from the next message on.',
  channelsLegend: 'Send me messages by',
  channels: { email: 'Email', sms: 'SMS', whatsapp: 'WhatsApp' },
  blocked:
    'Stopped, because messages did not arrive or were reported. Ask the sender to change it.',
  save: 'Save my choices',
  allOff: 'Stop all marketing',
  allOffLine: 'Turns everything above off at once.',
  saved: 'Your choices are saved.',
  undo: 'Undo',
};

const de: Texts = {
  language: 'de',
  unsubscribeTitle: 'Abmelden',
  unsubscribeFrom: (tenant) => `Von ${tenant} abmelden?`,
  noMore: {
    email: 'Sie bekommen von dort keine E-Mails mehr.',
    sms: 'Sie bekommen von dort keine SMS mehr.',
    whatsapp: 'Sie bekommen von dort keine WhatsApp-Nachrichten mehr.',
  },
  unsubscribe: 'Abmelden',
  choose: 'Stattdessen auswählen, was Sie bekommen',
  unsubscribedTitle: 'Abgemeldet',
  unsubscribed: 'Sie sind abgemeldet',
  canClose: 'Sie können diese Seite schließen.',
  unknownAddressTitle: 'Nicht mehr bekannt',
  unknownAddress: 'Ihre Adresse ist hier nicht mehr bekannt',
  unknownAddressLine:
    'Sie wurde aus der Liste entfernt, es wird also nichts an sie geschickt. Falls doch wieder eine Nachricht kommt, melden Sie sich bitte in jener ab.',
  notFoundTitle: 'Nicht gefunden',
  notFound: 'Diese Adresse führt nirgendwohin',
  notFoundLine:
    'Vielleicht wurde sie abgeschnitten. Bitte öffnen Sie den Link in der Nachricht noch einmal.',
  laterTitle: 'Einen Moment',
  later: 'Bitte versuchen Sie es gleich noch einmal',
  laterLine:
    'Wir können gerade nicht antworten. Nichts geht verloren: Öffnen Sie den Link noch einmal.',
  preferencesTitle: 'Ihre Auswahl',
  preferences: (tenant) => `Was darf ${tenant} Ihnen schicken?`,
  preferencesLine: 'Das gilt für Werbung, und zwar ab der nächsten Nachricht.',
  channelsLegend: 'Nachrichten erhalten per',
  channels: { email: 'E-Mail', sms: 'SMS', whatsapp: 'WhatsApp' },
  blocked:
    'Gestoppt, weil Nachrichten nicht ankamen oder gemeldet wurden. Nur der Absender kann das ändern.',
  save: 'Auswahl speichern',
  allOff: 'Keine Werbung mehr',
  allOffLine: 'Schaltet alles oben auf einmal ab.',
  saved: 'Ihre Auswahl ist gespeichert.',
  undo: 'Rückgängig machen',
};

const fr: Texts = {
  language: 'fr',
  unsubscribeTitle: 'Se désabonner',
  unsubscribeFrom: (tenant) => `Se désabonner de ${tenant} ?`,
  noMore: {
    email: 'Vous ne recevrez plus d’e-mails de leur part.',
    sms: 'Vous ne recevrez plus de SMS de leur part.',
    whatsapp: 'Vous ne recevrez plus de messages WhatsApp de leur part.',
  },
  unsubscribe: 'Se désabonner',
  choose: 'Choisir plutôt ce que vous recevez',
  unsubscribedTitle: 'Désabonnement fait',
  unsubscribed: 'Vous êtes désabonné(e)',
  canClose: 'Vous pouvez fermer cette page.',
  unknownAddressTitle: 'Adresse inconnue',
  unknownAddress: 'Votre adresse n’est plus connue ici',
  unknownAddressLine:
    'Elle a été retirée de leur liste, rien ne lui est donc envoyé. Si un nouveau message arrive, désabonnez-vous depuis celui-ci.',
  notFoundTitle: 'Introuvable',
  notFound: 'Cette adresse ne mène nulle part',
  notFoundLine: 'Elle a peut-être été coupée. Veuillez rouvrir le lien du message.',
  laterTitle: 'Un instant',
  later: 'Veuillez réessayer dans un instant',
  laterLine: 'Nous ne pouvons pas répondre pour le moment. Rien n’est perdu : rouvrez le lien.',
  preferencesTitle: 'Vos choix',
  preferences: (tenant) => `Que peut vous envoyer ${tenant} ?`,
  preferencesLine: 'Cela vaut pour la publicité, dès le prochain message.',
  channelsLegend: 'Recevoir les messages par',
  channels: { email: 'E-mail', sms: 'SMS', whatsapp: 'WhatsApp' },
  blocked:
    'Arrêté, car des messages n’arrivaient pas ou ont été signalés. Seul l’expéditeur peut le changer.',
  save: 'Enregistrer mes choix',
  allOff: 'Plus aucune publicité',
  allOffLine: 'Désactive d’un coup tout ce qui précède.',
  saved: 'Vos choix sont enregistrés.',
  undo: 'Annuler',
};

const es: Texts = {
  language: 'es',
  unsubscribeTitle: 'Darse de baja',
  unsubscribeFrom: (tenant) => `¿Darse de baja de ${tenant}?`,
  noMore: {
    email: 'No le enviarán más correos.',
    sms: 'No le enviarán más SMS.',
    whatsapp: 'No le enviarán más mensajes de WhatsApp.',
  },
  unsubscribe: 'Darme de baja',
  choose: 'Mejor elegir lo que recibo',
  unsubscribedTitle: 'Baja confirmada',
  unsubscribed: 'Se ha dado de baja',
  canClose: 'Puede cerrar esta página.',
  unknownAddressTitle: 'Ya no consta',
  unknownAddress: 'Su dirección ya no consta aquí',
  unknownAddressLine:
    'Se quitó de la lista, así que no se le envía nada. Si vuelve a recibir un mensaje, dese de baja desde ese mensaje.',
  notFoundTitle: 'No encontrado',
  notFound: 'Esta dirección no lleva a ninguna parte',
  notFoundLine: 'Quizá se cortó. Vuelva a abrir el enlace del mensaje.',
  laterTitle: 'Un momento',
  later: 'Vuelva a intentarlo en un momento',
  laterLine: 'Ahora no podemos responder. No se pierde nada: vuelva a abrir el enlace.',
  preferencesTitle: 'Sus preferencias',
  preferences: (tenant) => `¿Qué puede enviarle ${tenant}?`,
  preferencesLine: 'Vale para la publicidad, desde el próximo mensaje.',
  channelsLegend: 'Recibir mensajes por',
  channels: { email: 'Correo electrónico', sms: 'SMS', whatsapp: 'WhatsApp' },
  blocked:
    'Detenido porque los mensajes no llegaban o fueron denunciados. Solo el remitente puede cambiarlo.',
  save: 'Guardar mis preferencias',
  allOff: 'Ninguna publicidad más',
  allOffLine: 'Desactiva de una vez todo lo anterior.',
  saved: 'Sus preferencias están guardadas.',
  undo: 'Deshacer',
};

/** All languages the pages speak; the first is for everybody else. */
export const allTexts: readonly Texts[] = [en, de, fr, es];

/** The texts in the language the browser asks for. */
export function textsFor(context: ApiContext): Texts {
  const language = context.acceptsLanguages(allTexts.map((texts) => texts.language));
  return allTexts.find((texts) => texts.language === language) ?? en;
}
