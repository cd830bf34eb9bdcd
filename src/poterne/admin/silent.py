"""A log for commands: what they have to say is their answer, and what they change is in the journal."""


class Silent:
    """An `observe.Log` that keeps nothing."""

    def debug(self, event: str, **fields: object) -> None:
        """Not said."""

    info = warning = error = debug
