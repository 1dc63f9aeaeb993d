"""The documentation is true: its commands exist, its links lead somewhere, its words are those of the code."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pandas as pd
import pytest
import yaml

from infra.cli.main import COMMANDS
from infra.cli.main import root as tidemill
from infra.settings import Settings
from ingestion.codec import REASONS

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
SHELL = {"", "sh", "bash", "shell", "console"}


def without_fences(text: str) -> str:
    return FENCE.sub("", text)


def documented_commands(text: str) -> Iterator[str]:
    """Every `tidemill …` of a page: lines of shell blocks (continuations joined), and inline code."""
    for language, block in FENCE.findall(text):
        if language in SHELL:
            for line in block.replace("\\\n", " ").splitlines():
                line = line.strip().removeprefix("$ ").removeprefix(".venv/bin/")
                if line.startswith("tidemill "):
                    yield line
    for code in INLINE.findall(without_fences(text)):
        if code.startswith("tidemill "):
            yield code


def words_of(command: str) -> list[str]:
    """The command's words, up to a pipe, a redirection, a comment or an ellipsis."""
    words = shlex.split(command, comments=True)[1:]
    stop = next(
        (i for i, word in enumerate(words) if word in {"|", ">", "&&", "&", ";"} or word.startswith((">", "2>"))), None
    )
    return [word for word in words[:stop] if word not in {"…", "..."}]


def complaint(command: str) -> str | None:
    """What is wrong with a documented command: a name or an option that the command line does not have."""
    at: click.Command = tidemill
    known: set[str] = {option for p in tidemill.params for option in (*p.opts, *p.secondary_opts)} | {"-h", "--help"}
    for word in words_of(command):
        if word.startswith("-"):
            known |= {option for p in at.params for option in (*p.opts, *p.secondary_opts)}
            if word.split("=")[0] not in known:
                return f"`{command}`: {' '.join(['tidemill', *([at.name] if at.name else [])])} has no option {word}"
        elif isinstance(at, click.Group):
            child = at.get_command(click.Context(at), word)
            if child is None:
                return f"`{command}`: there is no command {word}"
            at = child
            known |= {option for p in at.params for option in (*p.opts, *p.secondary_opts)}
    return None


def test_documented_commands_exist(root: Path, pages: list[Path]) -> None:
    wrong = [
        f"{page}: {found}"
        for page in pages
        for command in documented_commands((root / page).read_text())
        if (found := complaint(command))
    ]
    assert not wrong


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("tidemill upp", "no command upp"),
        ("tidemill up --no-such", "no option --no-such"),
        ("tidemill job shwo -n x", "no command shwo"),
    ],
)
def test_a_wrong_command_would_be_found(command: str, reason: str) -> None:
    page = f"text\n\n```\n{command}\n```\n"
    assert reason in (complaint(next(documented_commands(page))) or "")


def test_every_command_is_mentioned_somewhere(root: Path, pages: list[Path]) -> None:
    named = {words_of(c)[0] for page in pages for c in documented_commands((root / page).read_text()) if words_of(c)}
    assert set(COMMANDS) <= named


def test_documented_make_targets_exist(root: Path, pages: list[Path]) -> None:
    targets = set(re.findall(r"^([a-z]+):", (root / "Makefile").read_text(), re.MULTILINE))
    named = {
        word
        for page in pages
        for block in FENCE.findall((root / page).read_text())
        for word in re.findall(r"^(?:\w+=\S+ )*make ([a-z]+)", block[1], re.MULTILINE)
    }
    assert {"demo", "test", "check", "setup"} <= named <= targets


def test_links_lead_somewhere(root: Path, pages: list[Path]) -> None:
    dead = []
    for page in pages:
        for groups in LINK.findall(without_fences((root / page).read_text())):
            target = groups[0] or groups[1]
            if target.startswith(("http://", "https://", "mailto:", "#")):
                continue
            if not (root / page.parent / target.split("#")[0]).exists():
                dead.append(f"{page} -> {target}")
    assert not dead


def test_the_readme_opens_with_a_picture_and_pictures_are_small(root: Path) -> None:
    opening = (root / "README.md").read_text().split("```")[0]
    assert re.search(r"!\[[^\]]+\]\(docs/images/overview\.png\)", opening)
    for name in ("overview", "stream", "jobs", "predictions"):
        picture = (root / f"docs/images/{name}.png").read_bytes()
        assert picture.startswith(b"\x89PNG\r\n")
        assert int.from_bytes(picture[16:20], "big") == 1440, (
            f"{name}.png is not as wide as `make screenshots` makes it"
        )
        assert len(picture) < 300_000


def test_every_setting_is_documented_with_its_default(root: Path) -> None:
    rows = dict(
        re.findall(r"^\| `(TIDEMILL_\w+)` \| ([^|]+?) \|", (root / "docs/settings.md").read_text(), re.MULTILINE)
    )
    assert set(rows) == {f"TIDEMILL_{name.upper()}" for name in Settings.model_fields}
    for name, field in Settings.model_fields.items():
        if field.default is not None:
            shown = (
                str(int(field.default))
                if isinstance(field.default, float) and field.default.is_integer()
                else str(field.default)
            )
            assert rows[f"TIDEMILL_{name.upper()}"].strip("`") == shown, name


def test_every_reason_for_a_dead_letter_is_documented(root: Path) -> None:
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| [^|]+ \|$", (root / "docs/messages.md").read_text(), re.MULTILINE)
    documented = {code for row in rows for code in re.findall(r"`(\w+)`", row)}
    assert set(REASONS) <= documented


def glossary(root: Path) -> list[tuple[str, str]]:
    rows = re.findall(r"^\| ([^|]+?) \| ([\w./-]+) \| [^|]+ \|$", (root / "docs/glossary.md").read_text(), re.MULTILINE)
    return [(word, home) for word, home in rows if word != "word"]


def test_every_word_is_found_at_its_home(root: Path) -> None:
    listed = glossary(root)
    assert len(listed) > 30
    homeless = []
    for word, home in listed:
        place = root / home
        files = [place] if place.is_file() else sorted(place.rglob("*.py")) if place.is_dir() else []
        text = "\n".join(file.read_text() for file in files)
        defined = [name.strip("`") for name in re.findall(r"`\w+`", word)]
        if not text or any(name not in text for name in defined):
            homeless.append(f"{word} at {home}")
    assert not homeless


def test_every_word_is_used(root: Path, sources: list[Path]) -> None:
    text = "\n".join((root / path).read_text() for path in sources).lower().replace("-", " ").replace("_", " ")
    unused = [
        name
        for word, _ in glossary(root)
        for name in (part.strip("` ").lower().replace("-", " ") for part in word.split(","))
        if name not in text
    ]
    assert not unused


def test_every_decision_is_half_a_page_with_reason_and_cost(root: Path) -> None:
    records = sorted((root / "docs/adr").glob("*.md"))
    assert [record.name[:4] for record in records] == [f"{n:04d}" for n in range(1, len(records) + 1)]
    for record in records:
        text = record.read_text()
        assert text.startswith(f"# {record.name[:4]} · "), record.name
        assert all(f"**{word}" in text for word in ("Decided.", "Why", "Cost")), record.name
        assert len(text.splitlines()) <= 45, f"{record.name} is longer than half a page"
        assert record.name in (root / "docs/architecture.md").read_text(), f"{record.name} is not in architecture.md"


def test_yaml_in_the_documentation_and_examples_parses(root: Path, pages: list[Path]) -> None:
    for page in pages:
        for language, block in FENCE.findall((root / page).read_text()):
            if language in {"yaml", "yml"}:
                yaml.safe_load(block)
    for path in (root / "examples").rglob("*.yml"):
        yaml.safe_load(path.read_text())


def test_the_scoring_script_of_the_readme_runs(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = [block for language, block in FENCE.findall((root / "README.md").read_text()) if language == "python"]
    (tmp_path / "limit.txt").write_text("4.5\n")
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(tmp_path))
    script: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), script)
    script["init"]()  # type: ignore[operator]
    window = {"machine_id": ["a", "b"], "window_start": [0, 0], "window_end": [1, 1], "vibration_max": [9.0, 1.5]}
    scored = script["run"](pd.DataFrame(window))  # type: ignore[operator]
    assert list(scored["label"]) == ["anomaly", "normal"]
    assert scored["score"].iloc[0] == 2.0
