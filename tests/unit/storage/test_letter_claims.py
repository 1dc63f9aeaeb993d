"""Of several streams on a topic one writes its letters: the first that asked, while it is defined."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from storage.letter_claims import holds_claim


def test_the_first_holds_the_claim_until_it_is_gone(tmp_path: Path) -> None:
    defined = {"a", "b"}

    def holds(stream: str, topic: str = "t") -> bool:
        return holds_claim(tmp_path / "state", topic, stream, is_defined=defined.__contains__)

    assert [holds("a"), holds("b"), holds("a")] == [True, False, True]
    assert holds("b", topic="other")
    defined.remove("a")
    assert [holds("b"), holds("b")] == [True, True]
    defined.add("a")
    assert not holds("a")


def test_of_many_who_ask_at_once_one_holds_it(tmp_path: Path) -> None:
    names = [f"s{number}" for number in range(16)]
    with ThreadPoolExecutor(8) as pool:
        held = list(pool.map(lambda name: holds_claim(tmp_path, "t", name, is_defined=lambda _: True), names))
    assert sum(held) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["letters-of-t"]
