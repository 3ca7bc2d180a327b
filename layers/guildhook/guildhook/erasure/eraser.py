"""Finds, exports or erases step by step, and stops between two statements when the time is over.

Steps are named, so that the next invocation continues at the one at which this one stopped. A step that erases needs no
position: it deletes until it finds nothing.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from secrets import token_hex
from typing import Any, Final
from uuid import UUID, uuid4

import msgspec

from guildhook.aws.s3_objects import ObjectWriter
from guildhook.erasure.erasure_request import ErasureAction, ErasureCursor, ErasureRequest, GuildSubject, PersonSubject
from guildhook.errors import UnknownEventError
from guildhook.store.erasure import ErasureBatch, ErasureStore, ExportSource, MentioningPlugin

EXPORT_PREFIX: Final = "exports/"
_FILE_BYTES: Final = 4 * 1024 * 1024
"""A file of an export is written when it has reached this size."""
_PLUGINS_AT_ONCE: Final = 20
_ENTRIES_AT_ONCE: Final = 1_000
_MOST_MENTIONS: Final = 1_000
"""An invocation stops after it has found so many, since Lambda's answers are limited to 6 MB."""


@dataclass(frozen=True, slots=True)
class Mention:
    """A place with a person's id in a text that may be somebody else's. Some texts are of no plugin, or of no guild."""

    guild_id: UUID | None
    plugin_id: UUID | None
    place: str
    key: str | None = None
    """The entry, where the place is a plugin's state."""

    def answer(self) -> dict[str, str | None]:
        fields = {"guild_id": _text(self.guild_id), "plugin_id": _text(self.plugin_id), "place": self.place}
        return fields if self.key is None else {**fields, "key": self.key}


@dataclass(slots=True)
class ErasureReport:
    """The work of one invocation."""

    found: Counter[str] = field(default_factory=Counter)
    """Rows by place, of an invocation with the action find."""
    exported: Counter[str] = field(default_factory=Counter)
    erased: Counter[str] = field(default_factory=Counter)
    """Rows that are gone, or that have lost the person's name."""
    mentions: list[Mention] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    cursor: ErasureCursor | None = None
    """The place to continue at; None if all is done."""

    def answer(self) -> dict[str, Any]:
        return {
            "done": self.cursor is None,
            "cursor": msgspec.to_builtins(self.cursor),
            "found": _positive(self.found),
            "exported": _positive(self.exported),
            "erased": _positive(self.erased),
            "mentions": [mention.answer() for mention in self.mentions],
            "files": self.files,
        }


def carry_out(
    request: ErasureRequest, store: ErasureStore, bucket: ObjectWriter, in_time: Callable[[], bool]
) -> ErasureReport:
    """Work while `in_time` returns True. Raises InfrastructureError, and UnknownEventError for a cursor of another
    request.
    """
    work = _Work(request, store, bucket, in_time)
    steps = work.steps()
    begin = request.cursor.step if request.cursor else next(iter(steps))
    if begin not in steps:
        raise UnknownEventError(
            f"this function takes the cursor of an answer to the same request; there is no step like that in "
            f"{request.action} ({', '.join(steps)})"
        )
    names = list(steps)
    for name in names[names.index(begin) :]:
        if not steps[name]():
            work.write_file()
            work.stop_at(name)
            return work.report
        work.after = None
    work.write_file()
    return work.report


class _Work:
    def __init__(
        self, request: ErasureRequest, store: ErasureStore, bucket: ObjectWriter, in_time: Callable[[], bool]
    ) -> None:
        self._request = request
        self._store = store
        self._bucket = bucket
        self._in_time = in_time
        self._key = token_hex(32)
        """The secret of the pseudonyms of this invocation. It is never written anywhere."""
        cursor = request.cursor or ErasureCursor("")
        self.after = cursor.after
        self._export = cursor.export or uuid4()
        self._files = cursor.files
        self._lines: list[bytes] = []
        """The rows of the export's next file."""
        self._bytes = 0
        self.report = ErasureReport()

    def steps(self) -> Mapping[str, Callable[[], bool]]:
        """The steps in their order. Each returns True if it has ended."""
        store = self._store
        match self._request.action, self._request.subject:
            case ErasureAction.FIND, PersonSubject() as person:
                return {"count": partial(self._count, store.count_person), **self._scans(person)}
            case ErasureAction.FIND, GuildSubject():
                return {"count": partial(self._count, store.count_guild)}
            case ErasureAction.EXPORT, PersonSubject() as person:
                return {**self._exports(store.sources_of_person), **self._scans(person)}
            case ErasureAction.EXPORT, GuildSubject():
                return self._exports(store.sources_of_guild)
            case ErasureAction.ERASE, PersonSubject() as person:
                return {
                    "names": self._rename,
                    **self._erasures(store.rows_of_person),
                    "named_entries": self._erase_named_entries,
                    **self._scans(person),
                }
            case ErasureAction.ERASE, GuildSubject():
                return self._erasures(store.rows_of_guild)
        raise AssertionError("every action has steps for both subjects")

    def stop_at(self, step: str) -> None:
        exporting = self._request.action is ErasureAction.EXPORT
        self.report.cursor = ErasureCursor(
            step, self.after, self._export if exporting else None, self._files if exporting else 0
        )

    def _count(self, count: Callable[[Mapping[str, object]], Mapping[str, int]]) -> bool:
        if self._in_time():
            self.report.found.update(count(self._request.subject.parameters))
            return True
        return False

    def _exports(self, sources: Sequence[ExportSource]) -> dict[str, Callable[[], bool]]:
        return {source.table: partial(self._export_rows, source) for source in sources}

    def _export_rows(self, source: ExportSource) -> bool:
        while self._in_time():
            page = self._store.page(source, self._request.subject.parameters, self.after)
            for position, row in page:
                self._export_row(source.table, row)
                self.after = position
            if len(page) < source.limit:
                return True
        return False

    def _export_row(self, table: str, row: Mapping[str, Any]) -> None:
        line = json.dumps({"table": table, "row": row}, ensure_ascii=False) + "\n"
        self._lines.append(line.encode())
        self.report.exported[table] += 1
        self._bytes += len(self._lines[-1])
        if self._bytes >= _FILE_BYTES:
            self.write_file()

    def write_file(self) -> None:
        """Write the rows that are in no file yet."""
        if self._lines:
            key = f"{EXPORT_PREFIX}{self._export}/{self._files + 1:06}.jsonl"
            self._bucket.put(key, b"".join(self._lines))
            self._files += 1
            self.report.files.append(key)
            self._lines, self._bytes = [], 0

    def _erasures(self, batches: Sequence[ErasureBatch]) -> dict[str, Callable[[], bool]]:
        return {batch.statement: partial(self._erase, batch) for batch in batches}

    def _erase(self, batch: ErasureBatch) -> bool:
        while self._in_time():
            erased = self._store.erase(batch, self._request.subject.parameters, self._key)
            self.report.erased.update(erased)
            if not any(erased.values()):
                return True
        return False

    def _rename(self) -> bool:
        """All names get the pseudonyms of one key, so this step is not interrupted."""
        if not self._in_time():
            return False
        for batch in self._store.names_of_person:
            self.report.erased.update(self._store.erase(batch, self._request.subject.parameters, self._key))
        return True

    def _erase_named_entries(self) -> bool:
        for entry in self._request.entries:
            if not self._in_time():
                return False
            self.report.erased.update(self._store.erase_state_entries(entry.plugin_id, [entry.key]))
        return True

    def _scans(self, person: PersonSubject) -> dict[str, Callable[[], bool]]:
        return {
            "mentions": partial(self._scan_plugins, person),
            "mentions_in_decisions": partial(self._scan_decisions, person),
            "mentions_in_audit": partial(self._scan_audit, person),
        }

    def _may_scan(self) -> bool:
        return self._in_time() and len(self.report.mentions) < _MOST_MENTIONS

    def _scan_decisions(self, person: PersonSubject) -> bool:
        while self._may_scan():
            after = UUID(self.after) if self.after else None
            decisions = self._store.mentions_in_decisions(person.pattern, after, _ENTRIES_AT_ONCE)
            for decision in decisions:
                self.report.mentions += [Mention(decision.guild_id, None, place) for place in decision.places]
                self.after = str(decision.guild_id)
            if len(decisions) < _ENTRIES_AT_ONCE:
                return True
        return False

    def _scan_audit(self, person: PersonSubject) -> bool:
        while self._may_scan():
            after = int(self.after) if self.after else None
            entries = self._store.mentions_in_audit(person.pattern, after, _ENTRIES_AT_ONCE)
            for entry in entries:
                if entry.is_mention:
                    place = f"plugin_audit.detail of entry {entry.number}"
                    self.report.mentions.append(Mention(entry.guild_id, entry.plugin_id, place))
                self.after = str(entry.number)
            if len(entries) < _ENTRIES_AT_ONCE:
                return True
        return False

    def _scan_plugins(self, person: PersonSubject) -> bool:
        """Look through the texts of all plugins. An entry of a state is the person's if its key has the id in it."""
        while self._may_scan():
            after = UUID(self.after) if self.after else None
            plugins = self._store.mentions(person.pattern, after, _PLUGINS_AT_ONCE)
            for plugin in plugins:
                self._handle_entries(plugin)
                self.report.mentions += _mentions(plugin)
                self.after = str(plugin.plugin_id)
            if len(plugins) < _PLUGINS_AT_ONCE:
                return True
        return False

    def _handle_entries(self, plugin: MentioningPlugin) -> None:
        if not plugin.keys:
            return
        match self._request.action:
            case ErasureAction.FIND:
                self.report.found["plugin_state.entries"] += len(plugin.keys)
            case ErasureAction.EXPORT:
                entries = self._store.state_entries(plugin.plugin_id, plugin.keys)
                row = {"guild_id": str(plugin.guild_id), "plugin_id": str(plugin.plugin_id), "entries": entries}
                self._export_row("plugin_state", row)
            case ErasureAction.ERASE:
                self.report.erased.update(self._store.erase_state_entries(plugin.plugin_id, plugin.keys))


def _text(identifier: UUID | None) -> str | None:
    return None if identifier is None else str(identifier)


def _mentions(plugin: MentioningPlugin) -> list[Mention]:
    places: list[tuple[str, str | None]] = [("plugin_state.entries", key) for key in plugin.keys_of_values]
    places += [(place, None) for place in plugin.places]
    return [Mention(plugin.guild_id, plugin.plugin_id, place, key) for place, key in places]


def _positive(counts: Mapping[str, int]) -> dict[str, int]:
    return {place: number for place, number in counts.items() if number}
