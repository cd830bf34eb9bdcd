"""What the status of the program says (sysexits.h), and how an SMTP reply becomes one."""

from typing import Final

EX_OK: Final = 0
EX_USAGE: Final = 64
EX_DATAERR: Final = 65
EX_NOUSER: Final = 67
EX_UNAVAILABLE: Final = 69
EX_SOFTWARE: Final = 70
EX_TEMPFAIL: Final = 75
EX_NOPERM: Final = 77
EX_CONFIG: Final = 78


class Failure(Exception):  # noqa: N818  # it names what happened
    """Nothing was sent. `text` is for the person who reads the log of the calling program."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


def status_of(code: int, enhanced: str, *, recipient: bool = False) -> int:
    """The status for a refusal: its code, its enhanced code (RFC 3463, "" when there is none), and whether it was for RCPT."""
    if code < 500:
        return EX_TEMPFAIL
    if code == 530 or enhanced.startswith("5.7."):
        return EX_NOPERM
    if enhanced.startswith(("5.6.", "5.3.4")) or code in {501, 552, 553, 554}:
        return EX_DATAERR
    if recipient and (enhanced.startswith("5.1.") or code == 550):
        return EX_NOUSER
    return EX_UNAVAILABLE
