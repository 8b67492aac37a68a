/**
 * An answer of RFC 6749, 5.2: `error` and `error_description` go on the wire. Named and shaped as oidc-provider's own
 * errors are, so that its error handler passes it through.
 */
export class OAuthRefusal extends Error {
  override name = 'OAuthRefusal';
  readonly statusCode: number;
  readonly status: number;
  readonly error: string;
  readonly error_description: string;
  readonly expose = true;
  /** At the authorization endpoint it may go back to the client, once its address is known to be right. */
  readonly allow_redirect = true;

  constructor(statusCode: number, error: string, description: string) {
    super(error);
    this.statusCode = statusCode;
    this.status = statusCode;
    this.error = error;
    this.error_description = description;
  }
}

export const invalidRequest = (description: string) => new OAuthRefusal(400, 'invalid_request', description);
export const invalidGrant = (description: string) => new OAuthRefusal(400, 'invalid_grant', description);
