"""Functions that authors may expect and that are not here, with what to do instead."""

from __future__ import annotations

from collections.abc import Mapping

_CHANCE = "it gives another value every time, so the Secret would change at every refresh; keep it in the provider"
_MADE = "keys and certificates are not made in templates; keep one in the provider, or read it with filterPEM"
_CLOCK = "it depends on the clock, so the Secret would change at every refresh; read a date of the data with toDate"
_JWK = "JSON Web Keys are not read; keep the key as PEM in the provider, or read it with pkcs12key"
_OUTSIDE = "templates read nothing but their data; what is nearest is index"

ABSENT: Mapping[str, str] = {
    name: why
    for names, why in (
        ("randAlpha randAlphaNum randAscii randNumeric randInt randBytes shuffle uuidv4", _CHANCE),
        ("encryptAES", f"{_CHANCE}; decryptAES reads one"),
        ("genPrivateKey genCA genCAWithKey genSelfSignedCert genSelfSignedCertWithKey", _MADE),
        ("genSignedCert genSignedCertWithKey buildCustomCert", _MADE),
        ("now ago", _CLOCK),
        ("derivePassword", "it takes a second of work; keep the password in the provider, or hash one with htpasswd"),
        ("jwkPublicKeyPem jwkPrivateKeyPem", _JWK),
        ("rsaDecrypt", "private keys decrypt nothing here; keep the plain value in the provider, or use decryptAES"),
        ("env expandenv getHostByName lookup", _OUTSIDE),
        ("include tpl", "they are Helm's; use template, or block"),
        ("call", "no value of a template is a function"),
    )
    for name in names.split()
}
