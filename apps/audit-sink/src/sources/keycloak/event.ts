/** What of an event's details is recorded; everything else that Keycloak knows of it stays there. */
export type EventDetails = {
  authMethod?: string | undefined;
  mfaMethod?: string | undefined;
  grantType?: string | undefined;
  credentialType?: string | undefined;
  identityProvider?: string | undefined;
  tokenId?: string | undefined;
  scopes?: string[] | undefined;
};

/** Something that a user or a client did at the provider, however it was learned. */
export type UserEvent = {
  kind: 'user';
  id: string;
  at: Date;
  type: string;
  userId?: string | undefined;
  username?: string | undefined;
  clientId?: string | undefined;
  sessionId?: string | undefined;
  address?: string | undefined;
  error?: string | undefined;
  details: EventDetails;
};

/** Something that an administrator did. What was written stays with Keycloak: it may hold passwords and keys. */
export type AdminEvent = {
  kind: 'admin';
  id: string;
  at: Date;
  operation: string;
  resourceType: string;
  resourcePath?: string | undefined;
  by: {
    /** Name of the administrator's own realm; Keycloak's API tells its id. */
    realm?: string | undefined;
    userId?: string | undefined;
    clientId?: string | undefined;
    address?: string | undefined;
  };
  error?: string | undefined;
};

export type IdentityEvent = UserEvent | AdminEvent;

/** Keycloak names what failed by the name of what was tried, with this at the end. */
export const isFailure = (type: string): boolean => type.endsWith('_ERROR');
