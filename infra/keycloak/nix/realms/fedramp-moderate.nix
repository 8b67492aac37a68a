# Section 3.3.
{
  sessionIdleTimeout = 15;
  sessionMaxLifespan = 240;
  accessTokenLifespan = 10;
  passwordMinLength = 12;
  bruteForceMaxAttempts = 3;
  bruteForceLockoutDuration = 30;
  requireMFA = false;
}
