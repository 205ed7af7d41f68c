export interface SmtpOptions {
  /** 0 lets the operating system choose. */
  port: number;
  /** Who may send; default anybody, logged in or not. */
  credentials?: { user: string; password: string };
}
