"""`poterne-sendmail`: a drop-in for `/usr/sbin/sendmail`. Programs of this machine hand in mail, the server says yes or no.

It reads one message from standard input, puts it into the form that SMTP wants, and gives it to the server over a Unix socket,
where the kernel vouches for the local user; what that user may send is decided there (`poterne sender`). It keeps nothing: a
message is taken by the server when the status is 0, and nothing of it is sent in any other case. Start with `letter.py`.

Only the standard library, and little of it, is imported here: a program that sends starts this each time.
"""

import os
import sys
from collections.abc import Sequence

from poterne.sendmail.exits import EX_OK, EX_SOFTWARE, EX_TEMPFAIL, Failure


def main(arguments: Sequence[str] | None = None) -> None:
    """Run as the program; ends with a status of sysexits.h and, if that is not 0, with one line on standard error."""
    words = list(sys.argv if arguments is None else arguments)
    sys.exit(run(words))


def run(words: Sequence[str]) -> int:
    """`words`: the program's name, then its arguments. The exit status."""
    name = words[0].rpartition("/")[2] or "sendmail"
    try:
        return _run(name, words[1:])
    except Failure as failure:
        say(name, failure.text)
        return failure.status
    except KeyboardInterrupt:
        return EX_TEMPFAIL
    except Exception as error:  # noqa: BLE001  (who calls us reads the status, not a traceback)
        say(name, f"this program failed, nothing is known to be sent: {type(error).__name__}: {error}")
        return EX_SOFTWARE


def say(name: str, text: str) -> None:
    """One line on standard error; control characters, which a server might send, are not printed."""
    shown = "".join(character if character.isprintable() else "?" for character in text)
    try:
        sys.stderr.write(f"{name}: {shown}\n")
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        pass  # closed by who started us


def _run(name: str, words: Sequence[str]) -> int:
    from poterne.sendmail.arguments import Mode, parse  # noqa: PLC0415
    from poterne.sendmail.places import places  # noqa: PLC0415

    request = parse(name, words)
    if request.mode is Mode.NOTHING:
        say(name, request.note)
        return EX_OK
    if request.mode is Mode.HELP:
        sys.stdout.write(request.note)
        return EX_OK
    where = places(request.socket)
    if request.mode is Mode.DIALOGUE:
        from poterne.sendmail.dialogue import pass_through  # noqa: PLC0415

        return pass_through(where.socket)
    from poterne.sendmail.dialogue import submit  # noqa: PLC0415
    from poterne.sendmail.letter import compose, read  # noqa: PLC0415

    raw = read(lambda size: os.read(0, size), dot_ends=request.dot_ends)
    submit(where.socket, compose(raw, request, where.domain))
    return EX_OK
