import { type RoleName, type SecondFactor } from './model.ts';
import { type Execution, type FlowRepresentation } from './representations.ts';

type Step = { step: string; config?: string } | { flow: string };
type Requirement = Execution['requirement'];

function flow(
  alias: string,
  description: string,
  steps: readonly [Requirement, Step][],
  more: Partial<FlowRepresentation> = {},
): FlowRepresentation {
  return {
    alias,
    description,
    providerId: 'basic-flow',
    topLevel: false,
    builtIn: false,
    ...more,
    authenticationExecutions: steps.map(([requirement, what], at) => ({
      ...('step' in what ? { authenticator: what.step } : { flowAlias: what.flow }),
      ...('step' in what && what.config ? { authenticatorConfig: what.config } : {}),
      authenticatorFlow: 'flow' in what,
      requirement,
      priority: (at + 1) * 10,
      userSetupAllowed: false,
    })),
  };
}

const top = { topLevel: true };
const SECOND_FACTOR = 'postern second factor';
const SKIPPED = 'postern second factor skipped';

const authenticators = { totp: 'auth-otp-form', webauthn: 'webauthn-authenticator' } as const;

/** In Keycloak's words `client.role`, or the realm's own. */
const roleInCondition = (role: RoleName) => role.replace('/', '.');

type Enrolment = { alias: string; config?: { alias: string; role: RoleName } };

/** Who has to have a second factor: everybody, each administrators' role, or nobody. */
function enrolments({ required, administrators }: SecondFactor): Enrolment[] {
  if (required === 'nobody') return [];
  if (required === 'everyone') return [{ alias: 'postern enrolment' }];
  return [...administrators].sort().map((role) => ({
    alias: `postern enrolment of ${roleInCondition(role)}`,
    config: { alias: `postern holds ${roleInCondition(role)}`, role },
  }));
}

/**
 * The flows of a realm (IA-2, IA-2(1), IA-2(2)).
 *
 * Whoever has a second factor is asked for it. Who must have one and has none gets the enrolment of the first method in
 * this same login, before any code is issued: a login without one never ends in a token. Passwords over the token
 * endpoint and self-registration are denied by flows of their own, whatever a client is set to later.
 */
export function authenticationFlows(secondFactor: SecondFactor) {
  const [first = 'totp'] = secondFactor.methods;
  const people = enrolments(secondFactor);
  const flows = [
    flow(
      'postern browser',
      'A session cookie, another identity provider, or password and second factor',
      [
        ['ALTERNATIVE', { step: 'auth-cookie' }],
        ['ALTERNATIVE', { step: 'identity-provider-redirector' }],
        ['ALTERNATIVE', { flow: 'postern password' }],
      ],
      top,
    ),
    flow('postern password', 'Password, then the second factor', [
      ['REQUIRED', { step: 'auth-username-password-form' }],
      ['CONDITIONAL', { flow: SECOND_FACTOR }],
      ...people.map(({ alias }) => ['CONDITIONAL', { flow: alias }] as [Requirement, Step]),
    ]),
    flow(SECOND_FACTOR, 'Asked from whoever has one', [
      ['REQUIRED', { step: 'conditional-user-configured' }],
      ...secondFactor.methods.map((method) => ['ALTERNATIVE', { step: authenticators[method] }] as [Requirement, Step]),
    ]),
    ...people.map(({ alias, config }) =>
      flow(alias, 'Makes whoever must have a second factor enrol one now', [
        ...(config
          ? [['REQUIRED', { step: 'conditional-user-role', config: config.alias }] as [Requirement, Step]]
          : []),
        ['REQUIRED', { step: 'conditional-sub-flow-executed', config: SKIPPED }],
        ['REQUIRED', { step: authenticators[first] }],
      ]),
    ),
    flow(
      'postern denied',
      'Denies passwords over the token endpoint, self-registration and Docker logins',
      [['REQUIRED', { step: 'deny-access-authenticator' }]],
      top,
    ),
    ...untouched,
  ];
  const authenticatorConfig = [
    ...(people.length > 0
      ? [{ alias: SKIPPED, config: { flow_to_check: SECOND_FACTOR, check_result: 'not-executed' } }]
      : []),
    ...people.flatMap(({ config }) =>
      config ? [{ alias: config.alias, config: { condUserRole: roleInCondition(config.role), negate: 'false' } }] : [],
    ),
    { alias: 'create unique user config', config: { 'require.password.update.after.registration': 'false' } },
    { alias: 'review profile config', config: { 'update.profile.on.first.login': 'missing' } },
  ];
  return {
    authenticationFlows: flows.sort((a, b) => (a.alias < b.alias ? -1 : 1)),
    authenticatorConfig: authenticatorConfig.sort((a, b) => (a.alias < b.alias ? -1 : 1)),
    browserFlow: 'postern browser',
    directGrantFlow: 'postern denied',
    registrationFlow: 'postern denied',
    resetCredentialsFlow: 'reset credentials',
    clientAuthenticationFlow: 'clients',
    dockerAuthenticationFlow: 'postern denied',
    firstBrokerLoginFlow: 'first broker login',
  };
}

const builtIn = { topLevel: true, builtIn: true };

/** Flows that a realm must have and that we leave as Keycloak has them, without steps that nobody can reach. */
const untouched: FlowRepresentation[] = [
  flow(
    'clients',
    'Base authentication for clients',
    [
      ['ALTERNATIVE', { step: 'client-secret' }],
      ['ALTERNATIVE', { step: 'client-jwt' }],
      ['ALTERNATIVE', { step: 'client-secret-jwt' }],
      ['ALTERNATIVE', { step: 'client-x509' }],
    ],
    { ...builtIn, providerId: 'client-flow' },
  ),
  flow(
    'reset credentials',
    'Reset credentials for a user if they forgot their password or something',
    [
      ['REQUIRED', { step: 'reset-credentials-choose-user' }],
      ['REQUIRED', { step: 'reset-credential-email' }],
      ['REQUIRED', { step: 'reset-password' }],
    ],
    builtIn,
  ),
  flow(
    'first broker login',
    'Actions taken after first broker login with identity provider account, which is not yet linked to any Keycloak account',
    [
      ['REQUIRED', { step: 'idp-review-profile', config: 'review profile config' }],
      ['REQUIRED', { flow: 'User creation or linking' }],
    ],
    builtIn,
  ),
  flow(
    'User creation or linking',
    'Flow for the existing/non-existing user alternatives',
    [
      ['ALTERNATIVE', { step: 'idp-create-user-if-unique', config: 'create unique user config' }],
      ['ALTERNATIVE', { flow: 'Handle Existing Account' }],
    ],
    { builtIn: true },
  ),
  flow(
    'Handle Existing Account',
    'Handle what to do if there is existing account with same email/username like authenticated identity provider',
    [
      ['REQUIRED', { step: 'idp-confirm-link' }],
      ['REQUIRED', { step: 'idp-email-verification' }],
    ],
    { builtIn: true },
  ),
];

const action = (alias: string, name: string, priority: number, enabled: boolean) => ({
  alias,
  name,
  providerId: alias,
  enabled,
  defaultAction: false,
  priority,
  config: {},
});

/** What a user may be made to do at the next login; only second factors that the realm allows can be enrolled. */
export const requiredActions = ({ methods }: SecondFactor) => [
  action('CONFIGURE_TOTP', 'Configure OTP', 10, methods.includes('totp')),
  action('UPDATE_PASSWORD', 'Update Password', 30, true),
  action('UPDATE_PROFILE', 'Update Profile', 40, true),
  action('VERIFY_EMAIL', 'Verify Email', 50, true),
  action('webauthn-register', 'Webauthn Register', 70, methods.includes('webauthn')),
  action('VERIFY_PROFILE', 'Verify Profile', 90, true),
];
