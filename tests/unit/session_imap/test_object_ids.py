from hypothesis import given
from hypothesis import strategies as st

from poterne.session.imap import object_ids
from poterne.values.ids import AccountId, ThreadId


@given(st.integers(1, 2**27 - 1), st.integers(1, 2**36 - 1))
def test_a_thread_there_and_back(account: int, number: int) -> None:
    shown = object_ids.thread(AccountId(account), ThreadId(number)).decode()
    assert object_ids.thread_of(AccountId(account), shown) == number
    assert object_ids.thread_of(AccountId(account + 1), shown) == -1
    assert object_ids.content_of(shown) == -1


@given(st.text(alphabet="MT0123456789abcdefAF_-x", min_size=1, max_size=20))
def test_one_spelling_only(text: str) -> None:
    number = object_ids.content_of(text)
    assert number == -1 or text == f"M{number:x}"
