/** What may be done with a secret. Its owner may do all of it; others what they were granted, and nothing else. */
export const verbs = ['read', 'use', 'update', 'delete'] as const;
export type Verb = (typeof verbs)[number];
