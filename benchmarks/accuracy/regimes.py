"""How the machines of the suite zoo sound over time: their spread and peak, by which StatisticsDetector chooses experts.

    python benchmarks/accuracy/regimes.py

writes results/regimes/results.jsonl, one line for each machine and seed. The real recordings are looked for in
$SKASD_REAL_DATA. tables.py joins them with the AUC that the experts of each regime have on each machine in the suite, and so
shows what other limits between the regimes would give.
"""

import json
from pathlib import Path
from runpy import run_path

from stamp import stamp

from skasd.benchmark._data import load_data
from skasd.detectors import StatisticsDetector

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "regimes" / "results.jsonl"


def main():
    zoo = run_path(str(HERE / "suites" / "zoo.py"))
    lines = []
    for name, description in zoo["DATA"].items():
        for seed in description["seeds"]:
            clips = {option: value for option, value in description.items() if option != "seeds"}
            train, _, _ = load_data(clips, seed).split()
            detector = StatisticsDetector(frontend=zoo["shared"]["MEL"]).fit(train)
            lines += [
                {
                    "data": name,
                    "section": machine.split("/")[1],
                    "seed": seed,
                    "spread": spread,
                    "peak": detector.peak_[machine],
                }
                for machine, spread in detector.spread_.items()
            ]
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text("".join(json.dumps(line | stamp()) + "\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    main()
