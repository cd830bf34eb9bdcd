"""`[search]`: the index of texts."""

from dataclasses import dataclass

from poterne.config.fields import setting


@dataclass(frozen=True, slots=True)
class Search:
    """`[search]`: an index of what is in messages, so that SEARCH need not read them all."""

    index: bool = setting(
        True,
        "Keep an index of the texts of all mailboxes (search.db in the data folder). Without it, the same is found, by reading.",
        why="A search in 10,000 messages takes some milliseconds instead of seconds.",
        risk="It says which groups of three letters each message has; it is as private as the mail.",
    )
    cpu_percent: int = setting(
        25,
        "Share of one core that making the index may take.",
        minimum=1,
        maximum=100,
        why="Mail that just came is found without it, so there is no hurry.",
    )
    every_s: int = setting(
        15,
        "How often is looked for mail that is not in the index.",
        minimum=1,
        maximum=3600,
        why="Up to 31 new messages of an account are not worth a place in it; they are read.",
    )
