/** What a mail says; the link follows the lines. */
export interface MailText {
  subject: string;
  lines: string[];
  button: string;
  /** For whoever did not ask for it. */
  ignore: string;
}

/** What a page with a button says. */
export interface PageText {
  title: string;
  line: string;
  button: string;
  done: string;
  doneLine: string;
}

/** What mails and pages about somebody's own account say in one language. */
export interface AccountTexts {
  /** For the `lang` of mail and page. */
  language: string;
  resetMail: MailText;
  verifyMail: MailText;
  invitationMail: (tenant: string) => MailText;
  resetPage: PageText;
  verifyPage: PageText;
  invitationPage: PageText & { lineWithAccount: string };
  newPassword: string;
  /** The one of an account that is there. */
  password: string;
  wrongPassword: string;
  firstName: string;
  lastName: string;
  /** How long it has to be, and what is refused. */
  passwordHint: string;
  problems: Record<PasswordProblem, string>;
  over: string;
  overLine: string;
}

/** The codes under which a new password is refused. */
export type PasswordProblem =
  | 'tooSmall'
  | 'tooBig'
  | 'commonPassword'
  | 'personalPassword'
  | 'guessablePassword';

const en: AccountTexts = {
  language: 'en',
  resetMail: {
    subject: 'Set a new password',
    lines: [
      'Somebody, hopefully you, asked for a new password for Carillon. The link is good once, for an hour.',
    ],
    button: 'Set a new password',
    ignore: 'If it was not you, do nothing: your password stays as it is.',
  },
  verifyMail: {
    subject: 'Please confirm your email address',
    lines: ['Please confirm that this address is yours. The link is good for three days.'],
    button: 'Confirm my address',
    ignore: 'If you have no account with Carillon, do nothing.',
  },
  invitationMail: (tenant) => ({
    subject: `You are invited to ${tenant}`,
    lines: [`You are invited to work in ${tenant} on Carillon. The link is good once.`],
    button: 'See the invitation',
    ignore: 'If you did not expect it, do nothing.',
  }),
  resetPage: {
    title: 'Set a new password',
    line: 'You will be logged out everywhere and log in with the new one.',
    button: 'Save the password',
    done: 'Your new password is saved',
    doneLine: 'Log in with it. You can close this page.',
  },
  verifyPage: {
    title: 'Confirm your address',
    line: 'One click, and your address is confirmed.',
    button: 'Confirm my address',
    done: 'Your address is confirmed',
    doneLine: 'You can close this page.',
  },
  invitationPage: {
    title: 'You are invited',
    line: 'Choose a password to accept.',
    lineWithAccount: 'You have an account with this address already: show its password to accept.',
    button: 'Accept',
    done: 'Welcome',
    doneLine: 'Log in with your address and password. You can close this page.',
  },
  newPassword: 'New password',
  password: 'Password',
  wrongPassword: 'This is not the password of your account.',
  firstName: 'First name',
  lastName: 'Last name',
  passwordHint: 'At least 12 characters. Several words are easy to remember and hard to guess.',
  problems: {
    tooSmall: 'It has fewer than 12 characters.',
    tooBig: 'It has more than 128 characters.',
    commonPassword: 'Many people use this password, so it is the first that is tried.',
    personalPassword: 'It is mostly your name, address or company, which others know.',
    guessablePassword: 'It is easy to guess: repeats and rows of keys add little.',
  },
  over: 'This link is over',
  overLine: 'It was used, or too much time has passed. Please ask for a new one.',
};

const de: AccountTexts = {
  language: 'de',
  resetMail: {
    subject: 'Neues Passwort festlegen',
    lines: [
      'Jemand, hoffentlich Sie, hat ein neues Passwort für Carillon verlangt. Der Link gilt einmal, eine Stunde lang.',
    ],
    button: 'Neues Passwort festlegen',
    ignore: 'Wenn Sie das nicht waren, tun Sie nichts: Ihr Passwort bleibt, wie es ist.',
  },
  verifyMail: {
    subject: 'Bitte bestätigen Sie Ihre E-Mail-Adresse',
    lines: ['Bitte bestätigen Sie, dass diese Adresse Ihre ist. Der Link gilt drei Tage.'],
    button: 'Adresse bestätigen',
    ignore: 'Wenn Sie kein Konto bei Carillon haben, tun Sie nichts.',
  },
  invitationMail: (tenant) => ({
    subject: `Einladung zu ${tenant}`,
    lines: [`Sie sind eingeladen, bei ${tenant} in Carillon mitzuarbeiten. Der Link gilt einmal.`],
    button: 'Einladung ansehen',
    ignore: 'Wenn Sie das nicht erwartet haben, tun Sie nichts.',
  }),
  resetPage: {
    title: 'Neues Passwort festlegen',
    line: 'Sie werden überall abgemeldet und melden sich mit dem neuen an.',
    button: 'Passwort speichern',
    done: 'Ihr neues Passwort ist gespeichert',
    doneLine: 'Melden Sie sich damit an. Sie können diese Seite schließen.',
  },
  verifyPage: {
    title: 'Adresse bestätigen',
    line: 'Ein Klick, und Ihre Adresse ist bestätigt.',
    button: 'Adresse bestätigen',
    done: 'Ihre Adresse ist bestätigt',
    doneLine: 'Sie können diese Seite schließen.',
  },
  invitationPage: {
    title: 'Sie sind eingeladen',
    line: 'Wählen Sie ein Passwort, um anzunehmen.',
    lineWithAccount:
      'Mit dieser Adresse haben Sie schon ein Konto: Geben Sie dessen Passwort ein, um anzunehmen.',
    button: 'Annehmen',
    done: 'Willkommen',
    doneLine:
      'Melden Sie sich mit Ihrer Adresse und Ihrem Passwort an. Sie können diese Seite schließen.',
  },
  newPassword: 'Neues Passwort',
  password: 'Passwort',
  wrongPassword: 'Das ist nicht das Passwort Ihres Kontos.',
  firstName: 'Vorname',
  lastName: 'Nachname',
  passwordHint:
    'Mindestens 12 Zeichen. Mehrere Wörter sind leicht zu merken und schwer zu erraten.',
  problems: {
    tooSmall: 'Es hat weniger als 12 Zeichen.',
    tooBig: 'Es hat mehr als 128 Zeichen.',
    commonPassword: 'Viele benutzen dieses Passwort, es wird also zuerst ausprobiert.',
    personalPassword:
      'Es besteht vor allem aus Ihrem Namen, Ihrer Adresse oder Firma, und die kennen andere.',
    guessablePassword: 'Es ist leicht zu erraten: Wiederholungen und Tastenreihen bringen wenig.',
  },
  over: 'Dieser Link gilt nicht mehr',
  overLine:
    'Er wurde schon benutzt, oder es ist zu viel Zeit vergangen. Bitte fordern Sie einen neuen an.',
};

const fr: AccountTexts = {
  language: 'fr',
  resetMail: {
    subject: 'Choisir un nouveau mot de passe',
    lines: [
      'Quelqu’un, vous sans doute, a demandé un nouveau mot de passe pour Carillon. Le lien est valable une fois, pendant une heure.',
    ],
    button: 'Choisir un nouveau mot de passe',
    ignore: 'Si ce n’était pas vous, ne faites rien : votre mot de passe ne change pas.',
  },
  verifyMail: {
    subject: 'Confirmez votre adresse e-mail',
    lines: ['Confirmez que cette adresse est la vôtre. Le lien est valable trois jours.'],
    button: 'Confirmer mon adresse',
    ignore: 'Si vous n’avez pas de compte Carillon, ne faites rien.',
  },
  invitationMail: (tenant) => ({
    subject: `Invitation à rejoindre ${tenant}`,
    lines: [
      `Vous êtes invité à travailler chez ${tenant} dans Carillon. Le lien est valable une fois.`,
    ],
    button: 'Voir l’invitation',
    ignore: 'Si vous ne l’attendiez pas, ne faites rien.',
  }),
  resetPage: {
    title: 'Choisir un nouveau mot de passe',
    line: 'Vous serez déconnecté partout et vous vous connecterez avec le nouveau.',
    button: 'Enregistrer le mot de passe',
    done: 'Votre nouveau mot de passe est enregistré',
    doneLine: 'Connectez-vous avec lui. Vous pouvez fermer cette page.',
  },
  verifyPage: {
    title: 'Confirmer votre adresse',
    line: 'Un clic, et votre adresse est confirmée.',
    button: 'Confirmer mon adresse',
    done: 'Votre adresse est confirmée',
    doneLine: 'Vous pouvez fermer cette page.',
  },
  invitationPage: {
    title: 'Vous êtes invité',
    line: 'Choisissez un mot de passe pour accepter.',
    lineWithAccount:
      'Vous avez déjà un compte avec cette adresse : saisissez son mot de passe pour accepter.',
    button: 'Accepter',
    done: 'Bienvenue',
    doneLine:
      'Connectez-vous avec votre adresse et votre mot de passe. Vous pouvez fermer cette page.',
  },
  newPassword: 'Nouveau mot de passe',
  password: 'Mot de passe',
  wrongPassword: 'Ce n’est pas le mot de passe de votre compte.',
  firstName: 'Prénom',
  lastName: 'Nom',
  passwordHint:
    'Au moins 12 caractères. Plusieurs mots se retiennent facilement et se devinent mal.',
  problems: {
    tooSmall: 'Il a moins de 12 caractères.',
    tooBig: 'Il a plus de 128 caractères.',
    commonPassword: 'Beaucoup de gens l’utilisent : c’est le premier qu’on essaie.',
    personalPassword:
      'C’est surtout votre nom, votre adresse ou votre société, que d’autres connaissent.',
    guessablePassword:
      'Il se devine facilement : répétitions et suites de touches n’apportent rien.',
  },
  over: 'Ce lien n’est plus valable',
  overLine: 'Il a servi, ou trop de temps a passé. Demandez-en un nouveau.',
};

const es: AccountTexts = {
  language: 'es',
  resetMail: {
    subject: 'Elige una contraseña nueva',
    lines: [
      'Alguien, seguramente tú, ha pedido una contraseña nueva para Carillon. El enlace vale una vez, durante una hora.',
    ],
    button: 'Elegir una contraseña nueva',
    ignore: 'Si no has sido tú, no hagas nada: tu contraseña sigue igual.',
  },
  verifyMail: {
    subject: 'Confirma tu dirección de correo',
    lines: ['Confirma que esta dirección es tuya. El enlace vale tres días.'],
    button: 'Confirmar mi dirección',
    ignore: 'Si no tienes una cuenta en Carillon, no hagas nada.',
  },
  invitationMail: (tenant) => ({
    subject: `Invitación a ${tenant}`,
    lines: [`Te invitan a trabajar en ${tenant} con Carillon. El enlace vale una vez.`],
    button: 'Ver la invitación',
    ignore: 'Si no la esperabas, no hagas nada.',
  }),
  resetPage: {
    title: 'Elige una contraseña nueva',
    line: 'Se cerrarán todas tus sesiones y entrarás con la nueva.',
    button: 'Guardar la contraseña',
    done: 'Tu contraseña nueva está guardada',
    doneLine: 'Entra con ella. Puedes cerrar esta página.',
  },
  verifyPage: {
    title: 'Confirma tu dirección',
    line: 'Un clic, y tu dirección queda confirmada.',
    button: 'Confirmar mi dirección',
    done: 'Tu dirección está confirmada',
    doneLine: 'Puedes cerrar esta página.',
  },
  invitationPage: {
    title: 'Tienes una invitación',
    line: 'Elige una contraseña para aceptar.',
    lineWithAccount: 'Ya tienes una cuenta con esta dirección: escribe su contraseña para aceptar.',
    button: 'Aceptar',
    done: 'Te damos la bienvenida',
    doneLine: 'Entra con tu dirección y tu contraseña. Puedes cerrar esta página.',
  },
  newPassword: 'Contraseña nueva',
  password: 'Contraseña',
  wrongPassword: 'Esa no es la contraseña de tu cuenta.',
  firstName: 'Nombre',
  lastName: 'Apellidos',
  passwordHint: 'Al menos 12 caracteres. Varias palabras se recuerdan bien y se adivinan mal.',
  problems: {
    tooSmall: 'Tiene menos de 12 caracteres.',
    tooBig: 'Tiene más de 128 caracteres.',
    commonPassword: 'Mucha gente la usa: es la primera que se prueba.',
    personalPassword: 'Es sobre todo tu nombre, tu dirección o tu empresa, que otros conocen.',
    guessablePassword: 'Es fácil de adivinar: repeticiones y filas de teclas aportan poco.',
  },
  over: 'Este enlace ya no vale',
  overLine: 'Ya se usó, o ha pasado demasiado tiempo. Pide uno nuevo.',
};

/** Every language there is. */
export const allAccountTexts: readonly AccountTexts[] = [en, de, fr, es];

/** The texts in a person's language (BCP 47), in English where there are none. */
export function accountTextsOf(language: string | null): AccountTexts {
  const primary = language?.toLowerCase().split('-')[0];
  return allAccountTexts.find((texts) => texts.language === primary) ?? en;
}
