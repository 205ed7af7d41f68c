/** The channel of Postgres on which lanes are told that there is something to send. */
export const newMessages = 'carillon_transactional';
