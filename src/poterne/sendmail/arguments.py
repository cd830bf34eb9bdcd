"""The command line of `sendmail`, as the programs that call it write it.

Theory of operation. It is that of getopt(3): one-letter options may be joined (`-ti`), a value stands behind its letter or is
the next word, `--` ends the options, and options and recipients may be mixed, since programs do both. What only a mail queue of
our own could do is ignored, as other drop-ins do; what nobody ever meant is an error (64), so that a mistake does not send mail
to somebody else.
"""

from collections.abc import Sequence
from enum import Enum
from typing import Final, NamedTuple

from poterne.sendmail.exits import EX_USAGE, Failure


class Mode(Enum):
    LETTER = "letter"
    """Read a message and send it."""
    DIALOGUE = "dialogue"
    """SMTP on standard input and output."""
    NOTHING = "nothing"
    HELP = "help"


class Request(NamedTuple):
    """What the caller wants."""

    mode: Mode
    note: str = ""
    """To be said in modes NOTHING and HELP."""
    recipients: tuple[str, ...] = ()
    from_header: bool = False
    """-t: the recipients are in the header as well."""
    dot_ends: bool = True
    """A line with a dot alone ends the message (without -i)."""
    sender: str | None = None
    """-f; "" or "<>" is the null sender. None: not said."""
    name: str = ""
    """-F: the full name for a From field of ours."""
    socket: str = ""
    notify: str = ""
    """-N, as RFC 3461 writes it."""
    ret: str = ""
    envid: str = ""


HELP: Final = """\
poterne-sendmail: hands a message to the mail server of this machine, as sendmail does.

  poterne-sendmail [options] [recipient ...] < message

  -t            recipients are in To, Cc and Bcc as well (Bcc is removed)
  -i, -oi       a line with a dot alone does not end the message
  -f ADDRESS    envelope sender, and From where the message has none (-r is the same)
  -F NAME       full name, where the message has no From
  -bs           speak SMTP on standard input and output
  -N, -R, -V    delivery notices (RFC 3461): when, how much, with which id
  --socket PATH where the server listens; else $POTERNE_SOCKET, /etc/poterne/sendmail.conf, /run/poterne/submit.sock

Other options of sendmail are taken and ignored. Status: 0 the server has it; else nothing was sent: 64 wrong use, 65 wrong
message, 67 no such recipient, 69 refused, 75 try again later, 77 not allowed, 78 wrong set-up.
"""
_QUEUE: Final = "the queue is the server's: poterne queue list"
_ALIASES: Final = "nothing to rebuild: aliases are the server's (poterne alias)"
_NOTHING: Final = {"p": _QUEUE, "i": _ALIASES}
_WITHOUT_VALUE: Final = frozenset("cGIimntUvx")
_WITH_VALUE: Final = frozenset("ABCDFLNORVXbefhopr")
_ATTACHED_ONLY: Final = frozenset("dq")
_NOTIFY: Final = frozenset({"SUCCESS", "FAILURE", "DELAY"})


def parse(name: str, words: Sequence[str]) -> Request:
    """Understand a command line; `name` is what the program was called. Raises Failure(64)."""
    if name == "mailq":
        return Request(Mode.NOTHING, _QUEUE)
    if name == "newaliases":
        return Request(Mode.NOTHING, _ALIASES)
    reader = _Reader(list(words))
    while reader.words:
        word = reader.words.pop(0)
        if word == "--":
            reader.recipients += reader.words
            break
        if word.startswith("--"):
            reader.long(word)
        elif len(word) > 1 and word[0] == "-":
            reader.letters(word)
        else:
            reader.recipients.append(word)
    return reader.request()


class _Reader:
    def __init__(self, words: list[str]) -> None:
        self.words = words
        self.recipients: list[str] = []
        self._said: dict[str, str] = {}
        self._flags: set[str] = set()
        self._mode = "m"
        self._help = False

    def long(self, word: str) -> None:
        option, equals, value = word.partition("=")
        if option == "--help":
            self._help = True
        elif option == "--socket":
            self._said["socket"] = value if equals else self._next(option)
        else:
            raise Failure(EX_USAGE, f"there is no option {option}: see --help")

    def letters(self, word: str) -> None:
        for at, letter in enumerate(word[1:], 1):
            rest = word[at + 1 :]
            if letter in _ATTACHED_ONLY:
                self._flags.add(letter)
                return
            if letter in _WITH_VALUE:
                self._value(letter, rest or self._next(f"-{letter}"))
                return
            if letter not in _WITHOUT_VALUE:
                raise Failure(EX_USAGE, f"there is no option -{letter}: see --help")
            self._flags.add(letter)

    def _next(self, option: str) -> str:
        if not self.words:
            raise Failure(EX_USAGE, f"{option} needs a value: see --help")
        return self.words.pop(0)

    def _value(self, letter: str, value: str) -> None:
        if letter == "b":
            self._mode = value[:1]
        elif letter == "o":
            if value.startswith("i"):
                self._flags.add("i")
        elif letter == "O":
            key, _, setting = value.partition("=")
            if key.strip().lower() == "ignoredots" and setting.strip()[:1].lower() in {"", "t", "y", "1"}:
                self._flags.add("i")
        else:
            self._said["f" if letter == "r" else letter] = value

    def request(self) -> Request:
        if self._help:
            return Request(Mode.HELP, HELP)
        if self._mode in _NOTHING or "I" in self._flags:
            return Request(Mode.NOTHING, _NOTHING.get(self._mode, _ALIASES))
        if self._mode not in {"m", "s", "a"}:
            raise Failure(EX_USAGE, f"-b{self._mode} is not for this program: the server is run with poterne serve")
        socket = self._said.get("socket", "")
        if self._mode in {"s", "a"}:
            return Request(Mode.DIALOGUE, socket=socket)
        if "q" in self._flags and not self.recipients and "t" not in self._flags:
            return Request(Mode.NOTHING, _QUEUE)
        if not self.recipients and "t" not in self._flags:
            raise Failure(EX_USAGE, "nobody to send to: name recipients, or take them from the message with -t")
        return Request(
            Mode.LETTER,
            recipients=tuple(self.recipients),
            from_header="t" in self._flags,
            dot_ends="i" not in self._flags,
            sender=self._said.get("f"),
            name=self._said.get("F", ""),
            socket=socket,
            notify=_notify(self._said.get("N", "")),
            ret=_ret(self._said.get("R", "")),
            envid=self._said.get("V", ""),
        )


def _notify(value: str) -> str:
    chosen = [word.strip() for word in value.upper().split(",") if word.strip()]
    if chosen == ["NEVER"] or not chosen:
        return "".join(chosen)
    if not _NOTIFY.issuperset(chosen):
        raise Failure(EX_USAGE, "-N takes never, or some of success,failure,delay")
    return ",".join(dict.fromkeys(chosen))


def _ret(value: str) -> str:
    known = {"": "", "full": "FULL", "hdrs": "HDRS"}
    if value.lower() not in known:
        raise Failure(EX_USAGE, "-R takes full or hdrs")
    return known[value.lower()]
