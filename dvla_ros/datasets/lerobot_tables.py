"""Parquet tables of a LeRobot data set."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from dvla_ros.datasets.lerobot_layout import DATA_FILE_MB, DATA_PATH, TASKS, Feature, file_indices
from dvla_ros.errors import DependencyError, RecordingError

_NAMELESS_INDEX = "__index_level_0__"


def parquet() -> tuple[Any, Any]:
    """The modules `pyarrow` and `pyarrow.parquet`.

    Raises:
        DependencyError: They are not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise DependencyError("LeRobot data sets need `pip install pyarrow`.") from None
    return pyarrow, pyarrow.parquet


class FrameTables:
    """Writes the rows of all frames, one row group an episode, file after file.

    Args:
        folder: Of the data set.
        features: By name; videos stand elsewhere.
    """

    def __init__(self, folder: Path, features: Mapping[str, Feature]) -> None:
        self._folder = folder
        self._features = {name: feature for name, feature in features.items() if feature.dtype != "video"}
        self._schema = _schema(self._features)
        self._files = 0
        self._writer: Any = None
        self._bytes = 0

    def add_episode(self, columns: Mapping[str, Sequence[Any] | np.ndarray]) -> tuple[int, int]:
        """Write an episode's rows; returns the numbers of chunk and file. Pictures are PNG bytes."""
        arrow, files = parquet()
        table = arrow.table(
            [_column(columns[name], feature) for name, feature in self._features.items()], schema=self._schema
        )
        if self._writer is not None and self._bytes >= DATA_FILE_MB * 2**20:
            self.close()
        if self._writer is None:
            path = self._path()
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = files.ParquetWriter(path, self._schema, compression="snappy")
        self._writer.write_table(table)
        self._bytes += table.nbytes
        return file_indices(self._files)

    def close(self) -> None:
        """Finish the file that is open."""
        if self._writer is not None:
            self._writer.close()
            self._writer, self._bytes, self._files = None, 0, self._files + 1

    def _path(self) -> Path:
        chunk, file = file_indices(self._files)
        return self._folder / DATA_PATH.format(chunk_index=chunk, file_index=file)


def write_table(path: Path, columns: Mapping[str, Sequence[Any]]) -> None:
    """Write one table; types follow from the values."""
    arrow, files = parquet()
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_table(arrow.table(dict(columns)), path)


def write_tasks(folder: Path, sentences: Sequence[str]) -> None:
    """Write `meta/tasks.parquet` as pandas would: the sentences are the index of the table."""
    arrow, files = parquet()
    path = folder / TASKS
    path.parent.mkdir(parents=True, exist_ok=True)
    table = arrow.table({"task_index": list(range(len(sentences))), "task": list(sentences)})
    columns = [
        {"name": name, "field_name": name, "pandas_type": kind, "numpy_type": stored, "metadata": None}
        for name, kind, stored in (("task_index", "int64", "int64"), ("task", "unicode", "object"))
    ]
    pandas = {"index_columns": ["task"], "column_indexes": [], "columns": columns, "pandas_version": "2.0.0"}
    files.write_table(table.replace_schema_metadata({"pandas": json.dumps(pandas)}), path)


def read_tasks(folder: Path) -> dict[int, str]:
    """The sentences by number."""
    table = read_table(folder / TASKS)
    sentences = table.get("task", table.get(_NAMELESS_INDEX))
    if sentences is None or "task_index" not in table:
        raise RecordingError(f"{folder / TASKS} has the columns {sorted(table)}; needed are task_index and task.")
    return {int(index): str(sentence) for index, sentence in zip(table["task_index"], sentences, strict=True)}


def read_table(path: Path, columns: Sequence[str] | None = None) -> dict[str, list[Any]]:
    """Columns of one file as lists.

    Raises:
        RecordingError: It is missing, broken or lacks a column.
    """
    arrow, files = parquet()
    try:
        with files.ParquetFile(path) as file:
            names = file.schema_arrow.names if columns is None else list(columns)
            if missing := sorted(set(names) - set(file.schema_arrow.names)):
                raise RecordingError(f"{path} lacks the columns {', '.join(missing)}.")
            table: dict[str, list[Any]] = file.read(columns=names).to_pydict()
            return table
    except (OSError, arrow.ArrowInvalid) as error:
        raise RecordingError(f"{path} cannot be read: {error}. Copy the data set again.") from None


def read_rows(path: Path, start: int, end: int, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Rows `start` to `end` of a file, one after the other, a few in memory at a time.

    Raises:
        RecordingError: The file is missing, broken, shorter, or lacks a column.
    """
    arrow, files = parquet()
    try:
        with files.ParquetFile(path) as file:
            if missing := sorted(set(columns) - set(file.schema_arrow.names)):
                raise RecordingError(f"{path} lacks the columns {', '.join(missing)}.")
            if end > file.metadata.num_rows:
                raise RecordingError(f"{path} has {file.metadata.num_rows} rows, {end} are needed.")
            yield from _rows(file, start, end, columns)
    except (OSError, arrow.ArrowInvalid) as error:
        raise RecordingError(f"{path} cannot be read: {error}. Copy the data set again.") from None


def _rows(file: Any, start: int, end: int, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    first = 0
    for group in range(file.num_row_groups):
        count = file.metadata.row_group(group).num_rows
        if first < end and first + count > start:
            position = first
            for batch in file.iter_batches(batch_size=64, row_groups=[group], columns=list(columns)):
                low, high = max(start - position, 0), min(end - position, batch.num_rows)
                if low < high:
                    yield from batch.slice(low, high - low).to_pylist()
                position += batch.num_rows
        first += count


def png(picture: np.ndarray) -> bytes:
    """An RGB uint8 `[h, w, 3]` picture without loss."""
    data: bytes = cv2.imencode(".png", picture[:, :, ::-1])[1].tobytes()
    return data


def picture_from_bytes(data: bytes, where: str) -> np.ndarray:
    """The RGB uint8 `[h, w, 3]` picture of a PNG or JPEG file.

    Raises:
        RecordingError: It is neither.
    """
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if found is None:
        raise RecordingError(f"{where}: a picture of {len(data)} bytes is neither PNG nor JPEG.")
    return np.ascontiguousarray(found[:, :, ::-1])


def _schema(features: Mapping[str, Feature]) -> Any:
    """Columns, and in the metadata how Hugging Face's `datasets` is to understand them."""
    arrow, _ = parquet()
    described = json.dumps({"info": {"features": {name: _described(f) for name, f in features.items()}}})
    return arrow.schema([(n, _type(f)) for n, f in features.items()], metadata={"huggingface": described})


def _described(feature: Feature) -> dict[str, Any]:
    if feature.dtype == "image":
        return {"_type": "Image"}
    value = {"dtype": feature.dtype, "_type": "Value"}
    if feature.shape == (1,):
        return value
    return {"feature": value, "length": feature.shape[0], "_type": "Sequence"}


def _type(feature: Feature) -> Any:
    arrow, _ = parquet()
    if feature.dtype == "image":
        return arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())])
    value = arrow.type_for_alias(feature.dtype)
    return value if feature.shape == (1,) else arrow.list_(value, feature.shape[0])


def _column(values: Sequence[Any] | np.ndarray, feature: Feature) -> Any:
    arrow, _ = parquet()
    if feature.dtype == "image":
        return arrow.array([{"bytes": data, "path": None} for data in values], _type(feature))
    array = np.asarray(values, feature.dtype)
    if feature.shape == (1,):
        return arrow.array(array.reshape(-1), _type(feature))
    return arrow.FixedSizeListArray.from_arrays(arrow.array(array.reshape(-1)), feature.shape[0])
