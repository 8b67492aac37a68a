# A command-line tool: the device grant (RFC 8628). It has no certificate and keeps no secret.
{ realm, clientId }:
{
  inherit realm clientId;
  type = "public";
  enableFAPI = false;
  requirePAR = false;
  requireMTLS = false;
  certificateBoundTokens = false;
}
