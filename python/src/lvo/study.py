"""Studies that `lvo study` made: their features as a table, and each with its pictures."""

import html
import json
import os
from pathlib import Path
from typing import Any, Dict, List, Optional, Union

from .errors import BadFile, InvalidArgument, NotFound
from .pictures import data_url
from .tables import Table


class Study:
    """A study's report: what `lvo study run` (or `lvo demo`) wrote into `report/`.

    Reading takes no model: everything is in the folder.
    """

    def __init__(self, report: Path, index: Dict[str, Any]) -> None:
        self.folder = report
        self._index = index
        self.title: str = index["title"]
        self.settings: Dict[str, Any] = index["facts"]
        self.features: Table = _table(index)

    @classmethod
    def open(cls, folder: Union[str, "os.PathLike[str]"]) -> "Study":
        """Opens a study's folder, or its `report` folder. Raises NotFound if it has no report yet."""
        for report in (Path(folder) / "report", Path(folder)):
            path = report / "data" / "index.json"
            if path.is_file():
                return cls(report, _json(path))
        raise NotFound(f"{folder}: no report/data/index.json; make it with `lvo study run {folder}`")

    def feature(self, index: int, layer: Optional[str] = None, space: str = "features") -> "StudyFeature":
        """A feature of a layer's SAE, or with `space="channels"` a channel.

        `layer` may be left away if the study has only one with that space.
        """
        sites = [site for site in self._index["sites"] if site.endswith("/" + space)]
        layers = [site[: -len(space) - 1] for site in sites]
        if layer is None and len(layers) == 1:
            layer = layers[0]
        if layer is None or layer not in layers:
            raise InvalidArgument(
                f"layer {layer}: the study has {space} of {', '.join(layers) or 'no layer'}"
            )
        path = self.folder / "data" / layer / space / f"{index}.json"
        if not path.is_file():
            raise InvalidArgument(f"{space} {index} of {layer}: not in the study")
        return StudyFeature(self.folder, _json(path))

    @property
    def summary(self) -> Table:
        """Medians and quartiles of every measure, a row for each measure and kind of subject."""
        return Table(
            {"layer": part["title"], "measure": row["name"], "of": column, **cell}
            for part in self._index["summary"]
            for row in part["rows"]
            for column, cell in zip(part["columns"], row["cells"])
        )

    def to_parquet(self, path: Union[str, "os.PathLike[str]"]) -> None:
        """Writes the table of features as Parquet, by pyarrow."""
        self.features.to_parquet(path)

    def __repr__(self) -> str:
        return f"<lvo.Study {str(self.folder)!r}: {len(self.features)} features and channels>"

    def _repr_html_(self) -> str:
        return f"<h4>{html.escape(self.title)}</h4>" + self.features._repr_html_()


class StudyFeature:
    """One feature or channel of a study: when it is active, its examples, its dreams, its measures.

    `data` is the whole entry, whose keys docs/gallery.md explains; the attributes are its most used members.
    """

    def __init__(self, report: Path, data: Dict[str, Any]) -> None:
        self._report = report
        self.data = data
        self.layer: str = data["layer"]
        self.space: str = data["space"]
        self.index: int = data["index"]
        self.words: List[str] = data["words"]
        self.peaks: List[int] = data["peaks"]
        self.timesteps: List[int] = data["timesteps"]
        self.frequency: List[float] = data["frequency"]
        self.max_activation: List[float] = data["max_activation"]
        self.examples: Table = Table(data["examples"])
        self.dreams: List[Dict[str, Any]] = data["dreams"]
        self.measures: Dict[str, Optional[float]] = data["measures"]

    def picture_path(self, picture: str) -> Path:
        """The file of a picture that `examples` and `dreams` name."""
        return self._report / picture

    def __repr__(self) -> str:
        kind = {"features": "feature", "channels": "channel"}[self.space]
        return (
            f"<lvo.StudyFeature {kind} {self.index} of {self.layer}: {len(self.examples)} examples, "
            f"dreams at {[dream['timestep'] for dream in self.dreams]}>"
        )

    def _repr_html_(self) -> str:
        words = f" · {html.escape(', '.join(self.words))}" if self.words else ""
        parts = [f"<b>{html.escape(self.layer)} {self.space} {self.index}</b>{words}", "<div>examples</div>"]
        parts.append(
            "".join(
                self._figure(example["picture"], f"{example['activation']:.3g}", example["prompt"])
                for example in self.examples[:6]
            )
        )
        for dream in self.dreams:
            doubts = "".join(f"<div>doubtful: {html.escape(reason)}</div>" for reason in dream["doubts"])
            parts.append(
                f"<div>dreams at time step {dream['timestep']} ({html.escape(dream['way'])})</div>{doubts}"
            )
            parts.append(
                "".join(
                    self._figure(path, f"seed {seed}", "")
                    for path, seed in zip(dream["pictures"], dream["seeds"])
                )
            )
        return "<div>" + "".join(parts) + "</div>"

    def _figure(self, picture: str, caption: str, title: str) -> str:
        try:
            source = data_url(self.picture_path(picture).read_bytes())
        except OSError:
            return f"<span>{html.escape(picture)} is missing</span>"
        return (
            f'<figure style="display:inline-block;margin:4px" title="{html.escape(title)}">'
            f'<img src="{source}" style="width:96px"><figcaption>{html.escape(caption)}</figcaption></figure>'
        )


def _table(index: Dict[str, Any]) -> Table:
    columns = dict(index["columns"])
    measures = columns.pop("measures")
    sites = [site.rsplit("/", 1) for site in index["sites"]]
    places = columns.pop("site")
    rows = Table()
    for number, site in enumerate(places):
        row = {"layer": sites[site][0], "space": sites[site][1], "index": columns["index"][number]}
        row.update((name, values[number]) for name, values in columns.items() if name != "index")
        row["words"] = row["words"].split() if isinstance(row["words"], str) else row["words"]
        row.update((name, values[number]) for name, values in measures.items())
        rows.append(row)
    return rows


def _json(path: Path) -> Dict[str, Any]:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as problem:
        raise BadFile(f"{path}: not a sound JSON file ({problem})") from None
