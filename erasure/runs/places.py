"""Records in files that stay although they are past their date: whose they are tells it, since
they have no key of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from erasure.domain.values import Scalar, canonical, fold
from erasure.runs.staying import Staying


class Places:
    """The values, by field, that lead to what stays in one dataset of files."""

    def __init__(self, address: str, staying: Staying) -> None:
        self.whole = staying.whole.get(address, "")
        self._by_field: dict[str, dict[str, str]] = {}
        for text, why in staying.rows.get(address, {}).items():
            _, field, value, *_ = text  # the key of a record: object, field, value
            self._by_field.setdefault(field, {})[fold(value)] = why

    @property
    def fields(self) -> set[str]:
        """What has to be read of a record."""
        return set(self._by_field)

    def why(self, record: Mapping[str, Sequence[Scalar]]) -> str:
        """Why that record stays; empty when it may go. Case is no difference here."""
        if self.whole:
            return self.whole
        for field, known in self._by_field.items():
            for value in record.get(field, ()):
                if value is not None and (why := known.get(fold(canonical(value)))):
                    return why
        return ""
