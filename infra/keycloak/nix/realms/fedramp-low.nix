# Section 3.3.
{
  sessionIdleTimeout = 30;
  sessionMaxLifespan = 480;
  accessTokenLifespan = 10;
  passwordMinLength = 8;
  bruteForceMaxAttempts = 5;
  bruteForceLockoutDuration = 15;
  requireMFA = false;
}
