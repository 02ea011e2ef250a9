# Makes the Parquet files of this folder: python make.py, with pyarrow 26.
import datetime
import decimal

import pyarrow as pa
import pyarrow.parquet as pq

rows = [
    {
        "id": i,
        "question": ["Which drug?", "Ärztin – 患者 🩺", "", None][i % 4],
        "large": [2**53 - 1, 2**53 + 1, -(2**62), None][i % 4],
        "choices": [["a", "b"], [], None, ["c", None]][i % 4],
        "answers": {"text": ["yes"] * (i % 3), "label": i % 2 == 0} if i % 4 else None,
        "score": [0.5, float("nan"), float("inf"), -0.25][i % 4],
        "when": datetime.datetime(2024, 2, 29, 12, 30, 0, 250000),
        "day": datetime.date(2024, 2, 29),
        "raw": bytes([0, 255, i]),
        "dose": decimal.Decimal("12.50"),
    }
    for i in range(10)
]
schema = pa.schema(
    [
        ("id", pa.int32()),
        ("question", pa.string()),
        ("large", pa.int64()),
        ("choices", pa.list_(pa.string())),
        ("answers", pa.struct([("text", pa.list_(pa.string())), ("label", pa.bool_())])),
        ("score", pa.float64()),
        ("when", pa.timestamp("ms")),
        ("day", pa.date32()),
        ("raw", pa.binary()),
        ("dose", pa.decimal128(6, 2)),
    ]
)
table = pa.Table.from_pylist(rows, schema=schema)
for codec in ["none", "snappy", "gzip", "zstd", "brotli", "lz4"]:
    pq.write_table(table, f"{codec}.parquet", compression=codec, row_group_size=4)
pq.write_table(table, "pages-v2.parquet", compression="zstd", data_page_version="2.0")
