"""Is IMAP exact with several clients? `make test-stress` (MINUTES=10, or SEED=n for one round again).

Theory of operation. The server is a real one with two workers. Each *round* has an account of its own and 3 to 16 clients
over TLS, in all modes (IMAP4rev1, IMAP4rev2, CONDSTORE, QRESYNC, UIDONLY, NOTIFY, some with COMPRESS); beside them mail comes in by SMTP and LMTP, a POP3 client
deletes, retention removes. What everybody does is drawn from the round's seed.

- `picture.py`: each client believes what it was told, and nothing else: which UID has which number, flags, mod-sequences. It
  raises a `DifferenceError` for whatever may not be said: EXISTS that shrinks, EXPUNGE when numbers may not move, a number that
  does not exist, a UID that is another message, a mod-sequence that goes back.
- `ledger.py`: what one client was told binds all others: a UID is one letter for ever, a mod-sequence of a message stands
  for one set of flags, what was told as gone does not come back, and nothing is gone that nobody removed.
- `truth.py`, `oracle.py`: the store, read by one more process. In *lockstep* rounds one command runs at a time, and the
  store is read before and after it: the command must have changed exactly what it says (`Effect`), and its answer (FETCH
  data, results of SEARCH, SORT and THREAD, COPYUID, MODIFIED, STATUS…) must be what `keys.py` and the others work out.
- In *parallel* rounds all run at once; then only what no order of events may break is compared, and now and then all
  fall silent: after a NOOP every picture must be the truth, and who idles must have been told without one.
- `notices.py`: with NOTIFY a client knows names and STATUS of all other mailboxes too, and must know them without asking.
- In *shared* rounds some clients are of another account, and come through `Other Users/` with all rights; COPY and MOVE go
  from one account to the other.
- Whoever has QRESYNC remembers the mailboxes that it leaves, comes back with what it remembers, and must be told exactly
  what is missing.

A failure prints the plan with its seed, what the client concerned and all of them said last. A lockstep round is the same
each time but for the moments at which one process hears of another's change; a parallel round is one of many of its kind.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.stress.session import stress


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.stress", description="Random IMAP clients against a model.")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=None, help="of the first round")
    parser.add_argument("--rounds", type=int, default=None, help="as many, however long it takes")
    given = parser.parse_args()
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(1_000_000_000)
    until = time.monotonic() + given.minutes * 60
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(stress(Path(folder), seed, until, given.rounds, tell=print))


if __name__ == "__main__":
    sys.exit(main())
