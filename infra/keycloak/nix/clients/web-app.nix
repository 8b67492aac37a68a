# A web application with a backend: code flow, pushed and with PKCE, tokens bound to its certificate.
{ realm, clientId, redirectUris }:
{
  inherit realm clientId redirectUris;
  type = "confidential";
}
