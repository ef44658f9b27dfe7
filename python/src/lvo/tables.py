"""Tables: lists of rows that show themselves in a notebook and go to pandas and Parquet where these are
installed."""

import html
import os
from typing import Any, Dict, List, Mapping, Sequence, Union

Row = Dict[str, Any]


class Table(List[Row]):
    """Rows as dictionaries with the same keys. A list, with `columns`, `to_pandas` and `to_parquet` added."""

    @property
    def columns(self) -> List[str]:
        """The rows' keys, in order."""
        return list(self[0]) if self else []

    def column(self, name: str) -> List[Any]:
        """One value of every row."""
        return [row[name] for row in self]

    def sorted_by(self, name: str, descending: bool = True) -> "Table":
        """The rows ordered by one column; those without a value (None) come last."""
        present = [row for row in self if row[name] is not None]
        absent = [row for row in self if row[name] is None]
        return Table(sorted(present, key=lambda row: row[name], reverse=descending) + absent)

    def where(self, **values: Any) -> "Table":
        """The rows whose columns have these values."""
        return Table(row for row in self if all(row[name] == value for name, value in values.items()))

    def to_pandas(self) -> Any:
        """A pandas DataFrame."""
        import pandas

        return pandas.DataFrame(list(self), columns=self.columns)

    def to_parquet(self, path: Union[str, "os.PathLike[str]"]) -> None:
        """Writes a Parquet file, by pyarrow."""
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(self)), path)

    def _repr_html_(self) -> str:
        return rows_html(self.columns, self[:60], len(self))


def rows_html(columns: Sequence[str], rows: Sequence[Mapping[str, Any]], count: int) -> str:
    """An HTML table; a line says how many rows there are if not all are shown."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(_text(row[name]))}</td>" for name in columns) + "</tr>"
        for row in rows
    )
    more = f"<p>{count} rows, {len(rows)} shown</p>" if count > len(rows) else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(_text(one) for one in value)
    return str(value)
