"""Score recordings on Spark with a file that skasd.export.to_onnx wrote.

    find /shared/recordings -name '*.wav' > paths.txt
    spark-submit score_on_spark.py pump.onnx paths.txt scores

The recordings have the same paths on all executors, which need onnxruntime, soundfile, pandas and pyarrow, and no skasd.
Writes a folder of csv files: path, anomaly score, decision, and the reason where a recording cannot be scored.
"""

import sys
from pathlib import Path

import onnxruntime
import pandas as pd
import soundfile
from pyspark.sql import SparkSession

COLUMNS = "path string, anomaly_score double, decision string, reason string"


def score(session, path):
    """Anomaly score and decision of a recording."""
    expected = session.get_modelmeta().custom_metadata_map
    samples, sample_rate = soundfile.read(path, dtype="float32", always_2d=True)
    if sample_rate != int(expected["sample_rate"]):
        raise ValueError(f"has {sample_rate} Hz; the model expects {expected['sample_rate']} Hz")
    if not len(samples) or int(expected["channel"]) >= samples.shape[1]:
        raise ValueError(f"has no samples in channel {expected['channel']}")
    waveform = samples[None, :, int(expected["channel"])]
    anomaly_score, is_anomaly = session.run(["anomaly_score", "is_anomaly"], {"waveform": waveform})
    return float(anomaly_score[0]), "anomaly" if is_anomaly[0] else "normal"


def score_tables(model):
    """A function for mapInPandas, which scores the recordings of each table of paths."""

    def score_each(tables):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # Spark runs one task for each core
        session = onnxruntime.InferenceSession(model.value, options)
        for table in tables:
            rows = []
            for path in table["path"]:
                try:
                    rows.append((path, *score(session, path), None))
                except (ValueError, TypeError, soundfile.LibsndfileError) as error:
                    rows.append((path, None, "unscored", str(error)))
            yield pd.DataFrame(rows, columns=["path", "anomaly_score", "decision", "reason"])

    return score_each


if __name__ == "__main__":
    model_file, list_of_paths, out = sys.argv[1:]
    spark = SparkSession.builder.appName("skasd").getOrCreate()
    model = spark.sparkContext.broadcast(Path(model_file).read_bytes())
    paths = spark.read.text(list_of_paths).withColumnRenamed("value", "path")
    paths = paths.repartition(4 * spark.sparkContext.defaultParallelism)
    paths.mapInPandas(score_tables(model), COLUMNS).write.csv(out, header=True)
    spark.stop()
