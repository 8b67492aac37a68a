/** One control of NIST SP 800-53 Rev 5, and how a compiled realm keeps it. */
export type Control = {
  id: string;
  title: string;
  /** What is set, in a sentence. */
  setting: string;
  /** Fields of the realm, and kinds of objects, whose difference from the document breaks it. */
  fields: readonly (string | RegExp)[];
  /** Probes of `probes.ts` that must hold. */
  probes?: readonly string[];
  /** Named in section 1.2 of the deployment design; the others follow from the profile. */
  inDesign: boolean;
};

const designed = (
  id: string,
  title: string,
  setting: string,
  fields: Control['fields'],
  probes: string[] = [],
): Control => ({ id, title, setting, fields, probes, inDesign: true });
const further = (...given: Parameters<typeof designed>): Control => ({ ...designed(...given), inDesign: false });

/**
 * The controls that a realm itself can keep and show. The design speaks of 56 without listing them: these are those of its
 * section 1.2, and those that the profile's settings keep beside them. Controls of the machine, the people and the papers
 * (AT, CP, PE, PS, ...) are no business of a realm and are not claimed.
 */
export const controls: readonly Control[] = [
  designed('AC-2', 'Account Management', 'nobody registers by themselves; changes of accounts are recorded', [
    /^realm\.(registrationAllowed|editUsernameAllowed|adminEvents)/,
  ]),
  designed(
    'AC-3',
    'Access Enforcement',
    'no client has full scope; scopes are gated by roles',
    [/^client .*\.fullScopeAllowed/, /^scope-mapping /, /^client-scope /, /^realm-role /, /^client-role /],
    ['unknown-redirect'],
  ),
  designed('AC-7', 'Unsuccessful Logon Attempts', 'accounts are locked at the count and for the time of the profile', [
    /^realm\.(bruteForce|failureFactor|waitIncrement|maxFailureWait|permanentLockout|maxDeltaTime|minimumQuick|quickLogin)/,
  ]),
  designed('AC-11', 'Device Lock', 'sessions end when they are idle', [
    /^realm\.(ssoSessionIdle|offlineSessionIdle|rememberMe)/,
  ]),
  designed('AC-12', 'Session Termination', 'sessions end when they are old; clients are told of logouts', [
    /^realm\.(ssoSessionMax|offlineSessionMax)/,
    /^client .*backchannel/,
  ]),
  designed('AU-2', 'Event Logging', 'the events of the document are recorded', [
    /^realm\.(eventsEnabled|enabledEventTypes|eventsListeners)/,
  ]),
  designed('AU-3', 'Content of Audit Records', 'changes by administrators are recorded with what was changed', [
    /^realm\.adminEventsDetails/,
  ]),
  designed(
    'IA-2',
    'Identification and Authentication (Organizational Users)',
    'logins go through the flows of the document',
    [/^realm\.browserFlow/, /^flow /],
  ),
  designed(
    'IA-2(1)',
    'Multi-factor Authentication to Privileged Accounts',
    'administrators enrol a second factor before any code is issued',
    [/^flow /, /^realm\.(otpPolicy|webAuthn)/, /^required-action /],
  ),
  designed('IA-2(2)', 'Multi-factor Authentication to Non-privileged Accounts', 'in high, everybody does', [
    /^flow postern enrolment/,
    /^flow postern password/,
  ]),
  designed('IA-5', 'Authenticator Management', 'one-time codes are used once; secrets are references', [
    /^realm\.(otpPolicyCodeReusable|resetPassword|passwordPolicy)/,
    /^client .*postern\.secret/,
  ]),
  designed('IA-5(1)', 'Password-based Authentication', "length, classes, history and hash are the profile's", [
    /^realm\.passwordPolicy/,
  ]),
  designed(
    'IA-8',
    'Identification and Authentication (Non-organizational Users)',
    'people of other providers come by signed assertions only',
    [/^identity-provider /, /^component org\.keycloak\.storage/, /^flow first broker/],
  ),
  designed(
    'SC-8',
    'Transmission Confidentiality and Integrity',
    'TLS 1.3 everywhere; browsers are told to insist on it',
    [/^realm\.(sslRequired|browserSecurityHeaders)/],
    ['tls-1.3', 'hsts'],
  ),
  designed(
    'SC-13',
    'Cryptographic Protection',
    'tokens are signed with ES256; passwords hashed as the profile says',
    [/^realm\.defaultSignatureAlgorithm/, /^client .*signed\.response\.alg/, /^component org\.keycloak\.keys/],
    ['jwks-es256'],
  ),
  designed(
    'SC-23',
    'Session Authenticity',
    'tokens are bound to their sender, short-lived and typed at+jwt; requests are pushed',
    [
      /^realm\.(accessToken|accessCode|revokeRefresh|refreshToken)/,
      /^client .*(bound\.access|rfc9068|pushed|pkce)/,
      /^client-(policy|profile) /,
    ],
    ['unpushed-request', 'discovery'],
  ),
  further('AC-6', 'Least Privilege', "a client's tokens carry only the roles that it is given", [
    /^scope-mapping client/,
    /^client .*fullScope/,
  ]),
  further('AU-11', 'Audit Record Retention', 'events are kept until they are in the log', [/^realm\.eventsExpiration/]),
  further('AU-12', 'Audit Record Generation', 'the listener that pushes events is registered', [
    /^realm\.eventsListeners/,
  ]),
  further('CM-2', 'Baseline Configuration', 'the realm is the compiled document', [/./]),
  further('CM-6', 'Configuration Settings', 'no setting differs from the document', [/./]),
  further(
    'IA-3',
    'Device Identification and Authentication',
    'clients with certificates are known by the whole subject and its issuer',
    [/^client .*x509/],
    ['client-without-proof'],
  ),
  further(
    'IA-9',
    'Service Identification and Authentication',
    'no confidential client gets a token without proving itself',
    [/^client .*(clientAuthenticatorType|jwks|signing\.alg|publicClient)/],
    ['client-without-proof'],
  ),
  further('SC-10', 'Network Disconnect', 'codes and pushed requests end within a minute', [
    /^realm\.(accessCodeLifespan|attributes\.parRequest)/,
  ]),
  further(
    'SC-12',
    'Cryptographic Key Establishment and Management',
    "the realm's keys are the generated ones of the document",
    [/^component org\.keycloak\.keys/],
    ['jwks-es256'],
  ),
  further(
    'SC-18',
    'Mobile Code',
    'pages say which code may run and who may frame them',
    [/^realm\.browserSecurityHeaders/],
    ['security-headers'],
  ),
];

/** `IA-5(1)` as OSCAL writes it: `ia-5.1`. */
export const oscalId = (control: string): string => control.toLowerCase().replace(/\((\d+)\)/, '.$1');
