"""Laws of versions, whatever is registered and archived in whatever order."""

from __future__ import annotations

import shutil
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from scoring.errors import Conflict, NotFound
from scoring.model import Model
from scoring.specs.document import Document
from scoring.specs.model import ModelSpec
from scoring.specs.validation import parse
from storage.datastores import Datastores
from storage.references import References
from storage.registration import Registration
from storage.registry import Registry
from tests.contract.memory import SettableClock
from tests.contract.memory_assets import MemoryAssetStore
from tests.effort import examples

CONTENTS = st.sampled_from(["a", "b", "c"])
VERSIONS = st.sampled_from(["1", "2", "3", "7", "v1"])


class Versions(RuleBasedStateMachine):
    """`held` is what each version held when it was made; `order` are versions by creation; `hidden` are archived."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        for content in "abc":
            (self.folder / content / "m").mkdir(parents=True)
            (self.folder / content / "m" / "weights").write_text(content)
        self.store, self.clock = MemoryAssetStore(), SettableClock()
        datastores = Datastores(self.folder / "datastores", self.store)
        registry, references = Registry(self.folder / "registry"), References(self.store, datastores)
        self.registration = Registration(self.store, registry, datastores, references, self.clock)
        self.held: dict[str, str] = {}
        self.order: list[str] = []
        self.hidden: set[str] = set()

    def teardown(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def _register(self, content: str, version: str | None) -> Model:
        self.clock.advance(timedelta(seconds=1))
        document = {"name": "net", "path": str(self.folder / content / "m"), "version": version}
        return self.registration.model(parse(ModelSpec, Document(value=document)))

    @rule(content=CONTENTS)
    def register(self, content: str) -> None:
        newest = self.order[-1] if self.order else None
        made = self._register(content, None).version
        if newest is not None and self.held[newest] == content and newest not in self.hidden:
            assert made == newest
        else:
            assert made not in self.held
            assert made == str(max((int(v) for v in self.held if v.isdecimal()), default=0) + 1)
            self.held[made] = content
            self.order.append(made)

    @rule(content=CONTENTS, version=VERSIONS)
    def register_as(self, content: str, version: str) -> None:
        if self.held.get(version, content) != content:
            with pytest.raises(Conflict):
                self._register(content, version)
            return
        assert self._register(content, version).version == version
        if version not in self.held:
            self.held[version] = content
            self.order.append(version)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), archived=st.booleans(), one=st.booleans())
    def archive(self, data: st.DataObject, archived: bool, one: bool) -> None:
        version = data.draw(st.sampled_from(sorted(self.held))) if one else None
        self.registration.archive(Model, "net", version, archived=archived)
        touched = {version} if version is not None else set(self.held)
        self.hidden = self.hidden | touched if archived else self.hidden - touched

    @invariant()
    def what_a_version_holds_never_changes(self) -> None:
        for version, content in self.held.items():
            model = self.store.get(Model, "net", version)
            assert (Path(model.path) / "m" / "weights").read_text() == content
            assert model.is_archived == (version in self.hidden)

    @invariant()
    def the_latest_was_made_last_of_those_that_are_not_archived(self) -> None:
        shown = [version for version in self.order if version not in self.hidden]
        if not shown:
            with pytest.raises(NotFound):
                self.store.get(Model, "net")
        else:
            assert self.store.get(Model, "net").version == shown[-1]

    @invariant()
    def no_byte_is_kept_twice(self) -> None:
        kept = list((self.folder / "registry" / "models").glob("*"))
        # content whose version was refused may lie there, too, and does no harm
        assert set(self.held.values()) <= {(path / "m" / "weights").read_text() for path in kept}
        assert len(kept) <= 3


TestVersions = Versions.TestCase
TestVersions.settings = settings(max_examples=examples(30), stateful_step_count=15, deadline=None)
