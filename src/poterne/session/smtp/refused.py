"""A refusal on its way to the peer."""

from typing import NamedTuple

from poterne.proto.smtp.replies import Reply


class Refused(NamedTuple):
    """Why something is not taken: a short word for log and counters, and the answer."""

    reason: str
    reply: Reply
