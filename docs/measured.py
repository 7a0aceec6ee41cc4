"""Tables of committed results say when and with which version they were measured; figures of them stand in sentences.

`benchmarks/accuracy/tables.py` writes what is read here, user_guide/results/measured.csv among it.
"""

from datetime import date
from pathlib import Path

import pandas as pd
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.directives.patches import CSVTable

RESULTS = Path(__file__).parent / "user_guide" / "results"


def origin(name: str) -> str:
    """Sentence about a table: the version of skasd, and the days on which its results were measured."""
    row = pd.read_csv(RESULTS / "measured.csv", index_col="table", dtype=str).loc[name]
    first, last = date.fromisoformat(row["first"]), date.fromisoformat(row["last"])
    day = f"{last.day} {last:%B %Y}"
    if first == last:
        when = f"on {day}"
    elif (first.year, first.month) == (last.year, last.month):
        when = f"from {first.day} to {day}"
    else:
        when = f"from {first.day} {first:%B %Y} to {day}"
    return f"Measured with skasd {' and '.join(row['skasd'].split())} {when}."


class ResultsTable(CSVTable):
    """`csv-table`, with a line below if it is a table of results."""

    def run(self) -> list[nodes.Node]:
        """Nodes of the table, and of the line."""
        found = super().run()
        file = Path(self.options.get("file", ""))
        if file.parent.name != RESULTS.name:
            return found
        for table in found:
            table["classes"].append("results")
        line = nodes.paragraph("", origin(file.stem), classes=["measured"])
        return [*found, line]


def substitutions() -> str:
    """Figures of the landing page as reStructuredText substitutions: AUC ± standard deviation over draws of a real valve."""
    valve = pd.read_csv(RESULTS / "zoo.csv", index_col=0).loc["valve2023, random draws"]
    auc = {name: cell.partition(" / ")[0] for name, cell in valve.items()}
    texts = {
        "valve_auc": auc["statistics"],
        "valve_auc_of_peer": auc["MFCC, kNN"],
        "valve_measured": origin("zoo"),
    }
    return "\n".join(f".. |{name}| replace:: {text}" for name, text in texts.items())


def setup(app: Sphinx) -> dict[str, bool]:
    """Sphinx calls this once."""
    app.add_directive("csv-table", ResultsTable, override=True)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
