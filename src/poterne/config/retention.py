"""Settings of how long things are kept, and how much of them."""

from dataclasses import dataclass

from poterne.config.fields import setting

_MOST_DAYS = 36_500
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Retention:
    """`[retention]`: how long mail and traces are kept. Domains, accounts and folders can differ: `poterne retention`."""

    trash_days: int = setting(
        30,
        "Days after which a message in Trash is deleted, counted from when it came there; 0: the rule for everything.",
        minimum=0,
        maximum=_MOST_DAYS,
        why="What was thrown away should not be kept (GDPR article 5), and people find it there for a month.",
        risk="Some people file mail in Trash: ask before you open the server to them, or give them a rule of their own.",
    )
    junk_days: int = setting(
        30,
        "The same for Junk.",
        minimum=0,
        maximum=_MOST_DAYS,
        why="Whoever looks into Junk looks once a month at least.",
    )
    fetched_days: int = setting(
        0,
        "Days after which a message is deleted that a POP3 client fetched and left on the server; 0: it stays. POP3 clients are "
        "told (EXPIRE).",
        minimum=0,
        maximum=_MOST_DAYS,
        why="Its reader may have no other copy: many have two programs, and one of them is IMAP.",
        risk="Mail goes that a second program has not fetched yet.",
    )
    everything_days: int = setting(
        0,
        "Days after which any message is deleted, counted from when it was received; 0: it stays.",
        minimum=0,
        maximum=_MOST_DAYS,
        risk="Old mail that is imported goes with the next run. See `poterne retention --dry-run` first.",
    )
    undelete_days: int = setting(
        7,
        "Days that expunged messages can be brought back (poterne retention undelete); 0: they can not.",
        minimum=0,
        maximum=365,
        why="A wrong click, or a program gone mad, is noticed within a week.",
        risk="What people delete stays on disk for so long, and counts for no quota.",
    )
    undelete_bytes: int = setting(
        1_073_741_824,
        "Octets of such messages that one account may have; beyond, the oldest go at the next run. 0: any number.",
        minimum=0,
        maximum=2**60,
        why="Who appends and expunges in a circle must not fill the disk.",
    )
    every_s: int = setting(
        21_600,
        "Seconds between two runs of all this.",
        minimum=60,
        maximum=604_800,
        why="A day more or less does not matter, and a run reads all messages of whom a rule for everything is for.",
    )
    auth_days: int = setting(
        365,
        "Days that events of signing in are kept; 0: for ever.",
        minimum=0,
        maximum=_MOST_DAYS,
        why="Twelve months: what the French authority (CNIL) takes for the most in usual cases, and long enough to look into an "
        "intrusion.",
        risk="Longer, they are personal data without a purpose; shorter, nobody can find out who came in.",
    )
    trace_days: int = setting(
        365,
        "Days that traces of messages are kept (accepted, delivered, refused, deleted); 0: for ever.",
        minimum=0,
        maximum=_MOST_DAYS,
        why="They hold addresses of senders and recipients: personal data.",
    )
    change_days: int = setting(
        1095,
        "Days that the journal of what administrators changed is kept; 0: for ever.",
        minimum=0,
        maximum=_MOST_DAYS,
        why="Who opened a door is asked later than who went through.",
    )
    incident_days: int = setting(
        365,
        "Days that incidents are kept after they were closed; 0: for ever.",
        minimum=0,
        maximum=_MOST_DAYS,
    )
    expunged_ranges: int = setting(
        10_000,
        "Ranges of expunged UIDs that each mailbox remembers for clients that were away (QRESYNC).",
        minimum=100,
        maximum=10_000_000,
        why="A client that was away for longer is told of all UIDs that are not there.",
    )


@dataclass(frozen=True, slots=True)
class Quota:
    """`[quota]`: what becomes of mail for a mailbox that is full, and when its user is told. See also [store] quota_bytes."""

    messages: int = setting(0, "Messages that a new account may have; 0: any number.", minimum=0, maximum=2**40)
    over: str = setting(
        "defer",
        'The answer to RCPT for a mailbox that is full. "defer": 452, the sender\'s server tries again for days. "refuse": 552, '
        "the sender is told at once.",
        choices=("defer", "refuse"),
        why="Its user was told twice by then, and makes room within the days that others try.",
        risk='"refuse": mail of the days until somebody looks is lost to its reader.',
    )
    warn_percent: int = setting(
        80,
        "Its user gets a mail when so much is used; 0: none. Again only after it has sunk.",
        minimum=0,
        maximum=100,
    )
    alarm_percent: int = setting(95, "And a second one.", minimum=0, maximum=100)
