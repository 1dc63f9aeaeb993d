"""What uv says, and what is told of it."""

from __future__ import annotations

import pytest

from scoring.environments.uv_words import Trouble, no_wheel_at_all, why, without_addresses

NO_WHEEL = """\
warning: something else
error: No solution found when resolving dependencies
  cause: Because torchvision==0.14.0 has no wheels with a matching Python ABI tag (e.g., `cp311`) and you require
         torchvision==0.14.0, we can conclude that your requirements are unsatisfiable.

hint: You require CPython 3.11 (`cp311`), but we only found wheels for others
"""
NO_NAME = """\
  × No solution found when resolving dependencies:
  ╰─▶ Because unheard-of was not found in the package registry and you require unheard-of, we can conclude that your
      requirements are unsatisfiable.
"""
AWAY = """\
error: Failed to fetch: `https://user:pass@host.example.org/simple/six/`
  cause: error sending request for url (https://user:pass@host.example.org/simple/six/)
  cause: dns error
"""
NOT_BUILT = """\
error: Failed to build `pyyaml==3.11`
  cause: The build backend returned an error
  cause: Call to `setuptools.build_meta.build_wheel` failed (exit status: 1)
"""
NO_SOURCE = """\
error: No solution found when resolving dependencies
  cause: Because torchvision>=0.1.7 has no source distribution and you require torchvision, we can conclude that your
         requirements are unsatisfiable.

hint: A source distribution is required for `torchvision` because using pre-built wheels is disabled for `torchvision`
      (i.e., with `--no-binary-package torchvision`)
"""


@pytest.mark.parametrize(
    ("output", "trouble", "package", "line"),
    [
        (
            NO_WHEEL,
            Trouble.NO_FIT,
            None,
            "torchvision==0.14.0 has no wheels with a matching Python ABI tag (e.g., `cp311`) and you require "
            "torchvision==0.14.0",
        ),
        (
            NO_NAME,
            Trouble.NO_SUCH_PACKAGE,
            "unheard-of",
            "unheard-of was not found in the package registry and you require unheard-of",
        ),
        (AWAY, Trouble.UNREACHABLE, None, "the package registry could not be reached"),
        (NOT_BUILT, Trouble.NOT_BUILT, "pyyaml", "The build backend returned an error"),
        (NO_SOURCE, Trouble.NO_SOURCE, "torchvision", None),
        ("error: write: No space left on device (os error 28)", Trouble.NO_SPACE, None, None),
        ("error: strange things", Trouble.OTHER, None, "strange things"),
        ("", Trouble.OTHER, None, "uv ended without a word"),
    ],
)
def test_the_line_that_matters(output: str, trouble: Trouble, package: str | None, line: str | None) -> None:
    reason = why(output)
    assert (reason.trouble, reason.package) == (trouble, package)
    assert line is None or reason.line == line


@pytest.mark.parametrize(
    "text", [AWAY, "from https://a.b/c?token=x, and http://127.0.0.1:8080/x", "at host.example.org/simple"]
)
def test_no_address_is_told(text: str) -> None:
    told = without_addresses(text)
    assert "<registry>" in told
    for secret in ("example.org", "pass", "127.0.0.1", "a.b", "token"):
        assert secret not in told


def test_versions_are_no_addresses() -> None:
    text = "torch==1.13.0 depends on numpy>=1.2.3,<2 and python_full_version < '3.12'"
    assert without_addresses(text) == text


def test_a_package_without_any_wheel() -> None:
    assert no_wheel_at_all("docopt==0.6.2 has no usable wheels and you require docopt") == ("docopt", "0.6.2")
    assert no_wheel_at_all("Pyyaml has no usable wheels and you require pyyaml") == ("pyyaml", None)
    assert no_wheel_at_all("pyyaml<=3.13 has no usable wheels and only the following") is None
    assert no_wheel_at_all("a==1.0 depends on b==4.8 and b==4.8 has no usable wheels") == ("b", "4.8")
    assert no_wheel_at_all("torch==1.0 has no wheels with a matching Python ABI tag") is None
