# A resource server: an audience that logs nobody in.
{ realm, clientId }:
{
  inherit realm clientId;
  type = "bearer-only";
  requirePKCE = false;
  requirePAR = false;
}
