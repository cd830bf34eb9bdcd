"""How much people may send before what they send is held for a look."""

from dataclasses import dataclass

from poterne.config.fields import setting


@dataclass(frozen=True, slots=True)
class Limits:
    """`[limits]`: what an account may send unless it has limits of its own (`poterne account limit`); beyond, mail is held."""

    recipients_per_day: int = setting(
        1000,
        "Recipients in 24 hours, each message's counted; 0: no limit.",
        minimum=0,
        maximum=10_000_000,
        why="A person writes to some dozens a day; a stolen password to thousands an hour.",
        risk="Held mail waits until somebody releases it: poterne hold.",
    )
    external_per_hour: int = setting(
        500, "Recipients at other organisations in an hour; 0: no limit.", minimum=0, maximum=10_000_000
    )
    new_per_day: int = setting(
        200,
        "Recipients in 24 hours that the account never wrote to before; 0: no limit.",
        minimum=0,
        maximum=10_000_000,
        why="Spam goes to strangers, mail to people one knows.",
    )
    burst: int = setting(
        400,
        "Recipients in one minute; 0: no limit.",
        minimum=0,
        maximum=10_000_000,
        why="Nobody writes to so many by hand, and a program that does is better stopped early than late.",
    )
    forwards_per_hour: int = setting(
        200,
        "Messages of one sender elsewhere that one address forwards in an hour, counted by each worker; 0: no limit. What is "
        "more is kept in the mailbox, or where there is none the sender is told to come later.",
        minimum=0,
        maximum=1_000_000,
        why="Two programs that answer each other would go on for ever: not every circle can be seen in the message.",
    )
    copies_per_hour: int = setting(
        2000,
        "Copies that strangers' mail to one address may cause elsewhere in an hour, because it is a list or forwards; counted by "
        "each worker; 0: no limit. What is more is kept in the mailbox, or where there is none the sender is told to come later.",
        minimum=0,
        maximum=10_000_000,
        why="A list that anyone may write to multiplies what a spammer sends, in your name.",
        risk="A list of 1,000 addresses elsewhere takes two messages of strangers an hour; who signs in is not counted here.",
    )
