import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.policy.posting import REPLIES, Allow, PostingEvidence, PostingReason, PostingVerdict, Refuse, decide
from poterne.values.directory import Posting

ANN, BEN = "ann@example.org", "ben@example.org"


def verdict(posting: Posting, posters: tuple[str, ...] = (ANN,), **facts: object) -> PostingVerdict:
    return decide(PostingEvidence(posting, posters, **facts))  # type: ignore[arg-type]


restricted = pytest.mark.parametrize("posting", [Posting.MEMBERS, Posting.LISTED])


def test_anyone() -> None:
    assert verdict(Posting.ANYONE, ()) == Allow()
    assert verdict(Posting.ANYONE, (), envelope_from=BEN) == Allow()


def test_local_is_for_who_signed_in() -> None:
    assert verdict(Posting.LOCAL, (), signed_in_as=BEN) == Allow()
    assert verdict(Posting.LOCAL, (), signed_in_as="webshop") == Allow()
    assert verdict(Posting.LOCAL, (), envelope_from=BEN) == Refuse(PostingReason.SIGN_IN)
    assert verdict(Posting.LOCAL, (), header_from=(BEN,), proven=True) == Refuse(PostingReason.SIGN_IN)


@restricted
def test_who_signed_in_is_a_poster_by_any_own_address(posting: Posting) -> None:
    assert verdict(posting, signed_in_as=ANN) == Allow()
    assert verdict(posting, signed_in_as=BEN, envelope_from=ANN) == Allow()
    assert verdict(posting, signed_in_as=BEN, envelope_from=BEN, header_from=("ann+list@example.org",)) == Allow()
    assert verdict(posting, signed_in_as=BEN, envelope_from=BEN, header_from=(BEN,)) == Refuse(
        PostingReason.NOT_A_POSTER
    )
    assert verdict(posting, ("",), signed_in_as=BEN) == Refuse(PostingReason.NOT_A_POSTER)


@restricted
def test_strangers_are_not_believed_and_learn_nothing(posting: Posting) -> None:
    member = verdict(posting, envelope_from=ANN, header_from=(ANN,))
    stranger = verdict(posting, envelope_from=BEN, header_from=(BEN,))
    assert member == stranger == verdict(posting) == Refuse(PostingReason.UNPROVEN)
    assert verdict(posting, envelope_from=ANN, proven=True) == Refuse(PostingReason.UNPROVEN)


@restricted
def test_a_proven_author_is_believed_for_the_header_only(posting: Posting) -> None:
    assert verdict(posting, header_from=(ANN,), proven=True) == Allow()
    assert verdict(posting, header_from=(BEN,), envelope_from=ANN, proven=True) == Refuse(PostingReason.NOT_A_POSTER)
    assert verdict(posting, header_from=(ANN, BEN), proven=True) == Refuse(PostingReason.NOT_A_POSTER)


addresses = st.sampled_from([ANN, BEN, "", "ann+x@example.org", "eve@example.com"])


@given(
    st.sampled_from(Posting), st.lists(addresses.filter(bool)), addresses, st.lists(addresses.filter(bool), max_size=3)
)
def test_without_proof_the_answer_depends_on_no_address(
    posting: Posting, posters: list[str], envelope: str, header: list[str]
) -> None:
    facts = PostingEvidence(posting, tuple(posters), "", envelope, tuple(header))
    assert decide(facts) == decide(PostingEvidence(posting))
    assert isinstance(decide(facts), Allow) == (posting is Posting.ANYONE)


def test_every_reason_has_an_answer() -> None:
    assert set(REPLIES) == set(PostingReason)
    for reason in PostingReason:
        reply = Refuse(reason).reply
        assert reply.code == 550
        assert ":" in reply.text
