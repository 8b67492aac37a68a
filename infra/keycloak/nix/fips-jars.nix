# BouncyCastle FIPS from Maven Central, by the hash of each jar. Keycloak ships none of them: it may not.
[
  { name = "bc-fips"; version = "2.1.2"; hash = "sha256-BE/NiinSNu3qiltBRAbNrmO0dfmtnwX+LckEoneUERU="; }
  { name = "bctls-fips"; version = "2.1.22"; hash = "sha256-aIQQVjRF4aZf8zy2eEJJnweImU11LD349+pKDUDdv1A="; }
  { name = "bcpkix-fips"; version = "2.1.10"; hash = "sha256-xDcAZGZNR02GgfVfMCz9reTK4PPXmLEP0YsKuPvW/tE="; }
  { name = "bcutil-fips"; version = "2.1.5"; hash = "sha256-UDqvXCxbfHKVR0Yu/hNpm19trPm+FQt8SLupdLeT3JI="; }
]
