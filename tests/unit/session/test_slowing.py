from poterne.session.slowing import MAX_ACCOUNT_DELAY_S, MAX_ORIGINS, TRUST_ENDS_AT, Slowing


def slowing() -> Slowing:
    return Slowing(free_failures=3, max_delay_s=30, forget_s=900)


def fail(table: Slowing, count: int, origin: str = "192.0.2.1", address: str = "a@x", now: float = 0) -> None:
    for _ in range(count):
        table.failed(origin, address, now)


def test_some_failures_are_free_then_waiting_doubles() -> None:
    table = slowing()
    waits = []
    now = 0.0
    for _ in range(10):
        now += 100
        wait = table.reserve("192.0.2.1", f"{now}@x", now)
        waits.append(wait)
        table.failed("192.0.2.1", f"{now}@x", now + wait)
    assert waits == [0, 0, 0, 1, 2, 4, 8, 16, 30, 30]


def test_parallel_attempts_queue_and_then_are_refused() -> None:
    table = slowing()
    fail(table, 6)
    waits = [table.reserve("192.0.2.1", "b@x", 0) for _ in range(10)]
    assert waits[:7] == [8, 16, 24, 32, 40, 48, 56]
    assert waits[7:] == [float("inf")] * 3


def test_failures_are_forgotten() -> None:
    table = slowing()
    fail(table, 9)
    assert table.reserve("192.0.2.1", "b@x", 899) > 0
    assert table.reserve("192.0.2.1", "b@x", 901) == 0


def test_an_attacked_account_waits_a_little_its_friends_not_at_all() -> None:
    table = slowing()
    table.succeeded("198.51.100.7", "a@x", 0)
    for n in range(200):
        table.failed(f"192.0.2.{n}", "a@x", 0)
    assert table.reserve("203.0.113.1", "a@x", 1) == MAX_ACCOUNT_DELAY_S
    assert table.reserve("203.0.113.1", "a@x", 1) == MAX_ACCOUNT_DELAY_S  # no queue: nobody can be held out
    assert table.reserve("198.51.100.7", "a@x", 1) == 0
    assert table.reserve("203.0.113.1", "other@x", 1) == 0


def test_a_friend_at_a_shared_address_waits_only_when_much_is_wrong_there() -> None:
    table = slowing()
    table.succeeded("192.0.2.1", "a@x", 0)
    fail(table, TRUST_ENDS_AT - 1, address="b@x")
    assert table.reserve("192.0.2.1", "a@x", 0) == 0
    fail(table, 1, address="b@x")
    assert table.reserve("192.0.2.1", "a@x", 0) > 0


def test_memory_is_bounded() -> None:
    table = slowing()
    for n in range(MAX_ORIGINS + 10):
        table.failed(str(n), str(n), 0)
        table.succeeded(str(n), str(n), 0)
    assert len(table._origins) == len(table._accounts) == len(table._friends) == MAX_ORIGINS
