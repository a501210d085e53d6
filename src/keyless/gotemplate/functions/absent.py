"""Functions that authors may expect and that are not here, with what to do instead."""

from __future__ import annotations

from collections.abc import Mapping

_CHANCE = "it gives another value every time, so the Secret would change at every refresh; keep it in the provider"
_CLOCK = "it depends on the clock, so the Secret would change at every refresh"
_DATES = "dates are not implemented"
_CHANGES = "it changes a map that others may hold; build a new one with dict"
_KEYS = "keys and certificates are not made or read in templates; keep the finished form in the provider"
_OUTSIDE = "templates read nothing but their data"
_TEXT = "it is not implemented; use regexReplaceAll, substr, lower or upper"

ABSENT: Mapping[str, str] = {
    name: why
    for names, why in (
        ("randAlpha randAlphaNum randAscii randNumeric randInt randBytes shuffle uuidv4 bcrypt htpasswd", _CHANCE),
        ("encryptAES genPrivateKey genCA genCAWithKey genSelfSignedCert genSelfSignedCertWithKey", _CHANCE),
        ("genSignedCert genSignedCertWithKey buildCustomCert", _CHANCE),
        ("now ago", _CLOCK),
        ("date dateInZone date_in_zone dateModify date_modify mustDateModify must_date_modify duration", _DATES),
        ("durationRound htmlDate htmlDateInZone toDate mustToDate unixEpoch", _DATES),
        ("set unset merge mustMerge mergeOverwrite mustMergeOverwrite", _CHANGES),
        ("pkcs12key pkcs12keyPass pkcs12cert pkcs12certPass pemToPkcs12 pemToPkcs12Pass fullPemToPkcs12", _KEYS),
        ("fullPemToPkcs12Pass pemTruststoreToPKCS12 pemTruststoreToPKCS12Pass filterPEM filterCertChain", _KEYS),
        ("certSANs jwkPublicKeyPem jwkPrivateKeyPem rsaDecrypt decryptAES derivePassword", _KEYS),
        ("env expandenv getHostByName lookup include tpl", _OUTSIDE),
        ("abbrev abbrevboth camelcase kebabcase snakecase swapcase initials wrap wrapWith", _TEXT),
        ("base dir clean ext isAbs osBase osDir osClean osExt osIsAbs urlParse urlJoin", _TEXT),
        ("semver semverCompare", "versions are not compared; use regexMatch"),
        ("hello", "it is not implemented"),
        ("call", "no value of a template is a function"),
    )
    for name in names.split()
}
