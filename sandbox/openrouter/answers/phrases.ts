import type { Language } from './brief';

/** `{x}` what it is about, `{b}` who writes, `{o}` what is offered. */
export interface Phrases {
  subjects: readonly string[];
  offerSubjects: readonly string[];
  preheaders: readonly string[];
  openers: readonly string[];
  middles: readonly string[];
  offers: readonly string[];
  closers: readonly string[];
  calls: readonly string[];
  tones: readonly string[];
  reasons: readonly string[];
  greetings: readonly string[];
  answers: readonly string[];
  follows: readonly string[];
  thing: string;
  sender: string;
}

export const phrases: Readonly<Record<Language, Phrases>> = {
  en: {
    subjects: [
      '{x}: made for days like this',
      'Meet {x}',
      'Your first look at {x}',
      'What is new about {x}',
      'Three reasons to try {x}',
      '{x} is here, and it is worth the wait',
      'A small change, a better day: {x}',
      'Ready when you are: {x}',
      'You asked for it: {x}',
      'The story behind {x}',
      'Still thinking about {x}?',
      'Made with care: {x} by {b}',
    ],
    offerSubjects: [
      '{o} off {x}, this week only',
      'For you: {o} off {x}',
      'Save {o} on {x} until Sunday',
    ],
    preheaders: [
      'See what makes it different, in under a minute.',
      'Picked for you by the people at {b}.',
      'Short to read, easy to try.',
      'Everything you need to know before it sells out.',
      'A quick hello from {b}.',
    ],
    openers: [
      'Good things take time, and {x} took exactly as long as it needed.',
      'We have been looking forward to showing you {x}.',
      'Some days ask for a little more. That is what {x} is for.',
      'You know what you like. We think {x} belongs on that list.',
      'It began with a question from our customers. The answer is {x}.',
    ],
    middles: [
      'Every detail was tried, changed and tried again, until it simply worked.',
      'It fits into your day without asking for attention, and stays out of the way when you are done.',
      'Made to last, easy to use, and explained in plain words.',
      'Customers who tried it first tell us that they would not want to go back.',
      'You can start in a minute, and change your mind whenever you like.',
    ],
    offers: [
      'For a few days you save {o}.',
      'As a thank you, there is {o} waiting for you at checkout.',
    ],
    closers: [
      'Have a look, and tell us what you think.',
      'We would love to hear how you like it.',
      'Take your time. We are here if you have questions.',
      'See you soon, your team at {b}.',
    ],
    calls: ['Take a look', 'Try it now', 'Discover more', 'Find yours', 'Start today', 'Show me'],
    tones: ['friendly', 'clear', 'warm', 'confident', 'curious'],
    reasons: [
      'Names the benefit first and stays short.',
      'Raises a question that the message answers.',
      'Speaks to readers who already know the brand.',
      'Calm tone, no pressure, a clear next step.',
    ],
    greetings: [
      'Hello! How can I help you today?',
      'Hi there! What would you like to work on?',
      'Good to hear from you. What can I do for you?',
    ],
    answers: [
      'Happy to help with {x}.',
      'Here is a short answer about {x}.',
      'Good question. With {x} the main thing is to keep it simple.',
      'Let us look at {x} together.',
    ],
    follows: [
      'Start with what your readers need most, say it in one sentence, and put everything else behind a link.',
      'In short: begin small, look at the figures after a week, and keep what works.',
      'The usual way is to agree on one goal, try two versions, and decide by what people do, not by what they say.',
      'If you tell me more about your audience, I can be more specific.',
    ],
    thing: 'something new',
    sender: 'our team',
  },
  de: {
    subjects: [
      '{x}: gemacht für Tage wie diesen',
      'Das ist {x}',
      'Ihr erster Blick auf {x}',
      'Neu bei uns: {x}',
      'Drei gute Gründe für {x}',
      '{x} ist da, und das Warten hat sich gelohnt',
      'Kleine Änderung, besserer Tag: {x}',
      'Bereit, wenn Sie es sind: {x}',
      'Auf vielfachen Wunsch: {x}',
      'Die Geschichte hinter {x}',
      'Noch unentschlossen? {x}',
      'Mit Sorgfalt gemacht: {x} von {b}',
    ],
    offerSubjects: [
      'Nur diese Woche: {o} auf {x}',
      'Für Sie: {o} auf {x}',
      '{x}: {o} sparen bis Sonntag',
    ],
    preheaders: [
      'Was es anders macht, in weniger als einer Minute.',
      'Für Sie ausgesucht von {b}.',
      'Kurz zu lesen, leicht auszuprobieren.',
      'Alles Wichtige, bevor es ausverkauft ist.',
      'Ein kurzer Gruß von {b}.',
    ],
    openers: [
      'Gutes braucht Zeit, und {x} hat genau so viel bekommen wie nötig.',
      'Wir haben uns darauf gefreut, Ihnen {x} zu zeigen.',
      'Manche Tage verlangen etwas mehr. Dafür gibt es {x}.',
      'Sie wissen, was Ihnen gefällt. Wir glauben, {x} gehört dazu.',
      'Am Anfang stand eine Frage unserer Kundinnen und Kunden. Die Antwort ist {x}.',
    ],
    middles: [
      'Jede Einzelheit wurde geprüft, geändert und noch einmal geprüft, bis alles stimmte.',
      'Es fügt sich in Ihren Tag ein und drängt sich nicht auf.',
      'Langlebig, einfach zu benutzen und in klaren Worten erklärt.',
      'Wer es zuerst ausprobiert hat, möchte nicht mehr zurück.',
      'In einer Minute fangen Sie an, und Sie können es sich jederzeit anders überlegen.',
    ],
    offers: ['Für kurze Zeit sparen Sie {o}.', 'Als Dankeschön warten {o} an der Kasse auf Sie.'],
    closers: [
      'Schauen Sie vorbei, und sagen Sie uns, was Sie denken.',
      'Wir freuen uns, von Ihnen zu hören.',
      'Lassen Sie sich Zeit. Bei Fragen sind wir da.',
      'Bis bald, Ihr Team von {b}.',
    ],
    calls: [
      'Jetzt ansehen',
      'Gleich ausprobieren',
      'Mehr entdecken',
      'Heute beginnen',
      'Zeig mir mehr',
    ],
    tones: ['freundlich', 'klar', 'warm', 'selbstbewusst', 'neugierig'],
    reasons: [
      'Nennt zuerst den Nutzen und bleibt kurz.',
      'Stellt eine Frage, die der Text beantwortet.',
      'Spricht Leser an, die die Marke schon kennen.',
      'Ruhiger Ton, kein Druck, ein klarer nächster Schritt.',
    ],
    greetings: [
      'Guten Tag! Wie kann ich Ihnen helfen?',
      'Hallo! Woran möchten Sie arbeiten?',
      'Schön, von Ihnen zu hören. Was kann ich für Sie tun?',
    ],
    answers: [
      'Gern helfe ich bei {x}.',
      'Hier eine kurze Antwort zu {x}.',
      'Gute Frage. Bei {x} kommt es vor allem darauf an, es einfach zu halten.',
      'Sehen wir uns {x} gemeinsam an.',
    ],
    follows: [
      'Beginnen Sie mit dem, was Ihre Leser am meisten brauchen, sagen Sie es in einem Satz, und alles andere kommt hinter einen Link.',
      'Kurz gesagt: klein anfangen, nach einer Woche die Zahlen ansehen, und behalten, was wirkt.',
      'Üblich ist, sich auf ein Ziel zu einigen, zwei Fassungen zu versuchen und nach dem Verhalten zu entscheiden.',
      'Wenn Sie mir mehr über Ihre Zielgruppe sagen, werde ich genauer.',
    ],
    thing: 'etwas Neues',
    sender: 'unserem Team',
  },
  fr: {
    subjects: [
      '{x} : pensé pour des jours comme celui-ci',
      'Découvrez {x}',
      'En avant-première : {x}',
      'Du nouveau : {x}',
      'Trois bonnes raisons d’essayer {x}',
      '{x} est là, et cela valait la peine d’attendre',
      'Un petit changement, une meilleure journée : {x}',
      'Quand vous voulez : {x}',
      'Vous l’avez demandé : {x}',
      'L’histoire derrière {x}',
      'Encore un doute ? {x}',
      'Fait avec soin : {x} par {b}',
    ],
    offerSubjects: [
      'Cette semaine seulement : {o} sur {x}',
      'Pour vous : {o} sur {x}',
      '{x} : {o} de remise jusqu’à dimanche',
    ],
    preheaders: [
      'Ce qui change, en moins d’une minute.',
      'Choisi pour vous par {b}.',
      'Vite lu, facile à essayer.',
      'L’essentiel avant la rupture de stock.',
      'Un petit bonjour de {b}.',
    ],
    openers: [
      'Les bonnes choses prennent du temps, et {x} a eu celui qu’il fallait.',
      'Nous avions hâte de vous présenter {x}.',
      'Certains jours demandent un peu plus. C’est pour eux que {x} existe.',
      'Vous savez ce que vous aimez. Nous pensons que {x} en fera partie.',
      'Tout a commencé par une question de nos clients. La réponse, c’est {x}.',
    ],
    middles: [
      'Chaque détail a été essayé, changé et essayé encore, jusqu’à ce que tout fonctionne.',
      'Il trouve sa place dans votre journée sans se faire remarquer.',
      'Fait pour durer, simple à utiliser, expliqué avec des mots clairs.',
      'Ceux qui l’ont essayé les premiers ne voudraient plus revenir en arrière.',
      'Une minute suffit pour commencer, et vous pouvez changer d’avis quand vous voulez.',
    ],
    offers: [
      'Pendant quelques jours, vous économisez {o}.',
      'Pour vous remercier, {o} vous attendent au moment de payer.',
    ],
    closers: [
      'Jetez un œil, et dites-nous ce que vous en pensez.',
      'Nous serions ravis d’avoir votre avis.',
      'Prenez votre temps. Nous sommes là pour vos questions.',
      'À bientôt, votre équipe {b}.',
    ],
    calls: ['Voir maintenant', 'Essayer', 'En savoir plus', 'Commencer aujourd’hui', 'Je découvre'],
    tones: ['amical', 'clair', 'chaleureux', 'assuré', 'curieux'],
    reasons: [
      'Nomme d’abord le bénéfice et reste court.',
      'Pose une question à laquelle le message répond.',
      'Parle à des lecteurs qui connaissent déjà la marque.',
      'Ton calme, sans pression, une suite claire.',
    ],
    greetings: [
      'Bonjour ! Comment puis-je vous aider ?',
      'Bonjour ! Sur quoi souhaitez-vous travailler ?',
      'Ravi de vous lire. Que puis-je faire pour vous ?',
    ],
    answers: [
      'Je vous aide volontiers pour {x}.',
      'Voici une réponse courte sur {x}.',
      'Bonne question. Pour {x}, le plus important est de rester simple.',
      'Regardons {x} ensemble.',
    ],
    follows: [
      'Commencez par ce dont vos lecteurs ont le plus besoin, dites-le en une phrase, et mettez le reste derrière un lien.',
      'En bref : commencez petit, regardez les chiffres après une semaine, et gardez ce qui marche.',
      'L’usage est de convenir d’un seul but, d’essayer deux versions et de décider selon ce que font les gens.',
      'Si vous me parlez de votre public, je serai plus précis.',
    ],
    thing: 'quelque chose de nouveau',
    sender: 'notre équipe',
  },
  es: {
    subjects: [
      '{x}: pensado para días como hoy',
      'Te presentamos {x}',
      'Tu primer vistazo a {x}',
      'Novedad: {x}',
      'Tres buenas razones para probar {x}',
      '{x} ya está aquí, y la espera valió la pena',
      'Un pequeño cambio, un día mejor: {x}',
      'Cuando tú quieras: {x}',
      'Nos lo pediste: {x}',
      'La historia detrás de {x}',
      '¿Aún lo piensas? {x}',
      'Hecho con cuidado: {x} de {b}',
    ],
    offerSubjects: [
      'Solo esta semana: {o} en {x}',
      'Para ti: {o} en {x}',
      '{x}: ahorra {o} hasta el domingo',
    ],
    preheaders: [
      'Qué lo hace diferente, en menos de un minuto.',
      'Elegido para ti por {b}.',
      'Breve de leer, fácil de probar.',
      'Lo esencial antes de que se agote.',
      'Un saludo de {b}.',
    ],
    openers: [
      'Lo bueno lleva tiempo, y {x} tuvo el que necesitaba.',
      'Teníamos ganas de enseñarte {x}.',
      'Algunos días piden un poco más. Para eso está {x}.',
      'Sabes lo que te gusta. Creemos que {x} estará en esa lista.',
      'Todo empezó con una pregunta de nuestros clientes. La respuesta es {x}.',
    ],
    middles: [
      'Cada detalle se probó, se cambió y se volvió a probar hasta que funcionó.',
      'Encaja en tu día sin pedir atención.',
      'Hecho para durar, fácil de usar y explicado con palabras claras.',
      'Quienes lo probaron primero no quieren volver atrás.',
      'Empiezas en un minuto, y puedes cambiar de idea cuando quieras.',
    ],
    offers: ['Durante unos días ahorras {o}.', 'Para darte las gracias, te esperan {o} al pagar.'],
    closers: [
      'Échale un vistazo y cuéntanos qué te parece.',
      'Nos encantará saber tu opinión.',
      'Tómate tu tiempo. Estamos aquí si tienes preguntas.',
      'Hasta pronto, tu equipo de {b}.',
    ],
    calls: ['Ver ahora', 'Probarlo', 'Descubrir más', 'Empezar hoy', 'Quiero verlo'],
    tones: ['cercano', 'claro', 'cálido', 'seguro', 'curioso'],
    reasons: [
      'Nombra primero el beneficio y es breve.',
      'Plantea una pregunta que el mensaje responde.',
      'Habla a lectores que ya conocen la marca.',
      'Tono tranquilo, sin presión, un siguiente paso claro.',
    ],
    greetings: [
      '¡Hola! ¿En qué puedo ayudarte?',
      '¡Buenas! ¿En qué te gustaría trabajar?',
      'Qué bueno leerte. ¿Qué puedo hacer por ti?',
    ],
    answers: [
      'Con gusto te ayudo con {x}.',
      'Esta es una respuesta breve sobre {x}.',
      'Buena pregunta. Con {x} lo principal es mantenerlo sencillo.',
      'Veamos {x} juntos.',
    ],
    follows: [
      'Empieza por lo que tus lectores más necesitan, dilo en una frase y deja el resto detrás de un enlace.',
      'En pocas palabras: empieza pequeño, mira las cifras tras una semana y conserva lo que funciona.',
      'Lo habitual es acordar un solo objetivo, probar dos versiones y decidir por lo que la gente hace.',
      'Si me cuentas más de tu público, puedo ser más preciso.',
    ],
    thing: 'algo nuevo',
    sender: 'nuestro equipo',
  },
};
