/** The rows of the tour, as the architecture has them. */
export const rows = [
  'portal logs alice in (code, PKCE, PAR)',
  'portal exchanges U',
  'portal starts the consent, alice consents',
  'job logs itself in',
  'job exchanges W',
  "job asks for the grant's token",
  'job exchanges G, is refused a write, steps up',
  'job stores and reads a record',
  'job keeps a secret through key-proxy',
  'auditor reads the events, checks proofs offline',
] as const;
