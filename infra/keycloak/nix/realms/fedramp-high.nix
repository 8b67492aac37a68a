# Section 3.3.
{
  sessionIdleTimeout = 10;
  sessionMaxLifespan = 120;
  accessTokenLifespan = 5;
  passwordMinLength = 15;
  bruteForceMaxAttempts = 3;
  bruteForceLockoutDuration = 30;
  requireMFA = true;
}
