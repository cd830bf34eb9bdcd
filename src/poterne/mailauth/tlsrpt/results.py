"""What went wrong with TLS, in the words of RFC 8460 §4.3."""

from typing import Final

from poterne.mailauth.dane.verify import Verdict
from poterne.values.tls import TlsResult

_WORDS: Final = {
    "not-offered": TlsResult.STARTTLS_NOT_SUPPORTED,
    "refused": TlsResult.STARTTLS_NOT_SUPPORTED,
    "name": TlsResult.HOST_MISMATCH,
    Verdict.EXPIRED.value: TlsResult.EXPIRED,
}
_CERTIFICATES: Final = (
    ("certificate has expired", TlsResult.EXPIRED),
    ("certificate is not yet valid", TlsResult.EXPIRED),
    ("hostname mismatch", TlsResult.HOST_MISMATCH),
    ("ip address mismatch", TlsResult.HOST_MISMATCH),
)
"""How OpenSSL's words for a certificate begin; all others are about trust."""
REASON_MOST: Final = 200


def result_of(problem: str, detail: str = "") -> tuple[TlsResult, str]:
    """The result type and the reason code of a TLS problem (`queue.outcome.TlsOutcome`)."""
    if problem == "certificate":
        said = detail.lower()
        for words, result in _CERTIFICATES:
            if said.startswith(words):
                return result, ""
        return TlsResult.NOT_TRUSTED, detail[:REASON_MOST]
    result = _WORDS.get(problem, TlsResult.VALIDATION_FAILURE)
    reason = detail or problem if result is TlsResult.VALIDATION_FAILURE else ""
    return result, reason[:REASON_MOST]
