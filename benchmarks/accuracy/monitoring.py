"""Monitor: false episodes, planted faults, changes of healthy machines, and how far apart the test of drift must look.

    python benchmarks/accuracy/monitoring.py [normal|order|fault|change|drift|tail|fan|pump ...]

appends JSON lines to results/monitoring/results.jsonl, one or more for each cell; cells that are there already are not
measured again. The scores come from continuous_sound.py: 24 hours to learn from and 48 hours of normal sound of each of
five synthetic machines, at 8 kHz, in windows of 10 s that overlap by half; they are made where they are missing, which takes
about eight minutes a machine. The rules themselves take seconds. tables.py makes the tables of the guide.

The plain thresholds that episodes are compared with alarm for every single window above them. One is exceeded by one window
a day of the learning sound; the other is chosen afterwards, so that as many windows of the normal sound exceed it as
were asked for.
"""

import json
import sys
from datetime import UTC, datetime
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
from continuous_sound import CLIP, DETECTORS, FADE, FAULTS, HOP, SEVERITIES, WINDOW, make, scores
from scipy.signal import lfilter
from scipy.stats import norm, t
from stamp import stamp

from skasd.monitoring._drift import DriftTest, thinned
from skasd.monitoring._episodes import HeardWindow
from skasd.monitoring._learning import LearningSound, TooLittleSoundError, learnt
from skasd.monitoring._listener import Listener
from skasd.monitoring._runs import RunRule, largest_scores
from skasd.monitoring._settings import Settings

RESULTS = Path(__file__).resolve().parent / "results" / "monitoring" / "results.jsonl"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = 3600.0
RATES = (1.0, 4.0)  # per day
INTERVALS = (60.0, 120.0, 300.0, 600.0, 1800.0)  # s
CHANGES = ("load and speed", "gain", "small gain", "microphone")
N_ORDERS = 20
SEQUENCES = (
    "normal, independent",
    "normal, correlated",
    "exponential, correlated",
    "normal, states of 90 s",
    "t5, states of 90 s",
)
PER_DAY = round(24 * HOUR / HOP)
ONSET = CLIP - FADE  # s, of the fault in a run
DEFAULTS = {
    "window": None,
    "hop": None,
    "machine": None,
    "learning_hours": 24.0,
    "end_share": 0.02,
    "least_duration": 0.0,
    "longest_gap": 30.0,
    "drift_level": 0.01,
    "drift_interval": 600.0,
}


def settings(rate, **changes):
    return Settings(false_episodes_per_day=rate, **{**DEFAULTS, **changes})


@cache
def known(machine):
    make(machine)
    return scores(machine)


def hours(machine, name, kind):
    """Scores of each hour of a kind, in order."""
    row = list(DETECTORS).index(name)
    return [value[row] for part, value in sorted(known(machine).items()) if part.startswith(f"{kind}/")]


def heard(sequences, start=0.0):
    """Windows of hours that follow each other."""
    return [
        HeardWindow(start + HOUR * hour + HOP * place, start + HOUR * hour + HOP * place + WINDOW, float(score))
        for hour, sequence in enumerate(sequences)
        for place, score in enumerate(sequence)
    ]


def learning_of(windows, rate, **changes):
    sound = LearningSound()
    for window in windows:
        sound.add(window)
    return learnt(sound, settings(rate, **changes), NOW, None), sound


def listener(machine, name, rate=1.0):
    """One that has learnt from 24 hours."""
    learning, sound = learning_of(heard(hours(machine, name, "learning")), rate)
    listening = Listener.of(settings(rate))
    listening.accept(learning, sound)
    return listening


def plain_thresholds(machine, name, rate=1.0):
    """Of single windows: by the learning sound, and by the normal sound that came after it."""
    found = {}
    for how, kind in {"learnt": "learning", "afterwards": "normal"}.items():
        sequences = hours(machine, name, kind)
        ordered = np.sort(np.concatenate(sequences))[::-1]
        found[how] = float(ordered[round(rate * len(sequences) / 24)])
    return found


def watched(listening, sequences):
    """Number of episodes in hours that follow each other, and hours until an alarm about drift, or None."""
    starts, drift = set(), None
    for number, sequence in enumerate(sequences):
        noticed = listening.hear(heard([sequence], 100 * HOUR + HOUR * number))
        starts |= {episode.started_at for episode in noticed.episodes}
        if noticed.drift is not None:
            drift = noticed.drift.noticed_at.timestamp() / HOUR - 100
    return len(starts), drift


def normal(machine, name, rate):
    """Episodes in 48 hours of normal sound after 24 hours of learning."""
    listening, sequences = listener(machine, name, rate), hours(machine, name, "normal")
    n_episodes, drift = watched(listening, sequences)
    learning, plain = listening.learning, plain_thresholds(machine, name, rate)
    yield {
        "hours": len(sequences),
        "n_episodes": n_episodes,
        "lowest": learning.lowest_per_day,
        "highest": learning.highest_per_day,
        "n_runs": learning.details["n_runs"],
        "drift": drift,
        "n_windows": int(np.sum(np.concatenate(sequences) > plain["learnt"])),
    }


def order(machine, name, rate):
    """Episodes per day in 48 hours, for other choices of the 24 hours of learning among all 72."""
    sequences = hours(machine, name, "learning") + hours(machine, name, "normal")
    found = []
    for seed in range(N_ORDERS):
        shuffled = [sequences[place] for place in np.random.default_rng(seed).permutation(len(sequences))]
        learning, _ = learning_of(heard(shuffled[:24]), rate)
        windows = heard(shuffled[24:])
        start, end, score = (np.array([getattr(one, part) for one in windows]) for part in ("start", "end", "score"))
        largest = largest_scores(
            start, end, score, RunRule(learning.details["lower_level"], DEFAULTS["longest_gap"], 0.0)
        )
        found.append(float(np.sum(largest > learning.threshold)) / (len(shuffled[24:]) / 24))
    yield {"orders": N_ORDERS, "per_day": float(np.mean(found)), "least": min(found), "most": max(found)}


def fault(machine, name, severity):
    """Delay in s until each fault is told, None if it is not within 4.5 minutes."""
    plain, row = plain_thresholds(machine, name), list(DETECTORS).index(name)
    learning = listener(machine, name).learning
    delays = {"episodes": [], "learnt": [], "afterwards": []}
    for kind in FAULTS[machine]:
        for part, value in sorted(known(machine).items()):
            if not part.startswith(f"fault/{kind}/{severity:g}/"):
                continue
            windows = heard([value[row]])
            for how, threshold in {"episodes": learning.threshold, **plain}.items():
                told = [one.end - ONSET for one in windows if one.score > threshold and one.end > ONSET]
                delays[how].append(told[0] if told else np.inf)
    for how, delay in delays.items():
        yield {"how": how, "delays": [one if np.isfinite(one) else None for one in delay]}


def change(machine, name, kind):
    """Episodes and the alarm about drift in the hours after a healthy machine, or what is heard of it, has changed."""
    sequences, plain = hours(machine, name, kind), plain_thresholds(machine, name)
    n_episodes, drift = watched(listener(machine, name), sequences)
    n_windows = int(np.sum(np.concatenate(sequences) > plain["learnt"]))
    yield {"hours": len(sequences), "n_episodes": n_episodes, "drift": drift, "n_windows": n_windows}


def drift(machine, name, interval):
    """Share of orders of the hours of normal sound in which there is a false alarm about drift within 48 hours."""
    sequences, n_alarms = hours(machine, name, "learning") + hours(machine, name, "normal"), 0
    for seed in range(N_ORDERS):
        shuffled = [sequences[place] for place in np.random.default_rng(seed).permutation(len(sequences))]
        windows = heard(shuffled)
        n_known = sum(map(len, shuffled[:24]))
        start, score = (np.array([getattr(one, part) for one in windows[:n_known]]) for part in ("start", "score"))
        test = DriftTest(interval, DEFAULTS["drift_level"], thinned(start, score, interval))
        n_alarms += any(test.hear(window) is not None for window in windows[n_known:])
    yield {"orders": N_ORDERS, "n_alarms": n_alarms}


def sequence(kind, n, generator):
    """Scores (n,) of windows whose dependence and distribution are known."""
    scale, dependence = kind.split(", ")
    if dependence == "independent":
        z = generator.standard_normal(n)
    elif dependence == "correlated":
        z = lfilter([np.sqrt(1 - 0.7**2)], [1, -0.7], generator.standard_normal(n + 100))[100:]
    else:
        z = lfilter([np.sqrt(1 - 0.5**2)], [1, -0.5], generator.standard_normal(n + 100))[100:]
        z = np.sqrt(0.5) * (z + np.repeat(generator.standard_normal(n // 18 + 1), 18)[:n])
    upper = norm.sf(z)
    return {"normal": lambda: z, "exponential": lambda: -np.log(upper), "t5": lambda: -t.ppf(upper, 5)}[scale]()


def runs_of(score, low):
    start = HOP * np.arange(len(score))
    return largest_scores(start, start + WINDOW, score, RunRule(low, DEFAULTS["longest_gap"], 0.0))


def tail(kind, days, rate, repetitions=100, n_days=500):
    """What the threshold of a learning period gives, by 500 days of the same sequence."""
    generator, found = np.random.default_rng(0), []
    truth = sequence(kind, n_days * PER_DAY, generator)
    largest = np.sort(runs_of(truth, np.quantile(truth, 1 - DEFAULTS["end_share"])))
    n_refused = 0
    for _ in range(repetitions):
        score = sequence(kind, round(days * PER_DAY), generator)
        start = HOP * np.arange(len(score))
        sound = LearningSound(start.tolist(), (start + WINDOW).tolist(), score.tolist(), days * 24 * HOUR)
        try:
            learning = learnt(sound, settings(rate), NOW, None)
        except TooLittleSoundError:
            n_refused += 1
            continue
        per_day = (len(largest) - np.searchsorted(largest, learning.threshold, "right")) / n_days
        found.append((per_day, learning.lowest_per_day, learning.highest_per_day))
    per_day, lowest, highest = np.array(found).T
    yield {
        "repetitions": repetitions,
        "n_refused": n_refused,
        "per_day": float(per_day.mean()),
        "inside": float(np.mean((lowest <= per_day) & (per_day <= highest))),
        "above": float(np.mean(per_day > highest)),
        "lowest": float(np.median(lowest)),
        "highest": float(np.median(highest)),
    }


def cells():
    yield from (("tail", kind, days, 1.0) for kind, days in product(SEQUENCES, (0.25, 1.0, 4.0)))
    for machine in FAULTS:
        for name in DETECTORS:
            yield from (("normal", machine, name, rate) for rate in RATES)
            yield from (("order", machine, name, rate) for rate in RATES)
            yield from (("fault", machine, name, severity) for severity in SEVERITIES)
            yield from (("change", machine, name, kind) for kind in CHANGES)
            yield from (("drift", machine, name, interval) for interval in INTERVALS)


def main(wanted):
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    done = {tuple(json.loads(line)["cell"]) for line in RESULTS.read_text().splitlines()} if RESULTS.exists() else set()
    measure = {"normal": normal, "order": order, "fault": fault, "change": change, "drift": drift, "tail": tail}
    for cell in cells():
        if cell in done or (wanted and cell[0] not in wanted and cell[1] not in wanted):
            continue
        rows = list(measure[cell[0]](*cell[1:]))
        with RESULTS.open("a", encoding="utf-8") as stream:
            stream.writelines(json.dumps({"cell": cell, **row, **stamp()}) + "\n" for row in rows)
        print(cell, rows, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
