r"""
From windows to episodes
========================

How do you listen to a machine for days without a false alarm every ten minutes? A threshold on single windows is exceeded by
some of them, however healthy the machine is. `Monitor` learns from normal sound how often its score runs high, and sets the
threshold by the number of *false episodes per day* that you accept.
"""

# %%
# A detector, and sound that it was not trained on
# ------------------------------------------------
#
# Ten minutes of a pump, in windows of five seconds, train a detector. Then the pump is heard for an hour, at a low sample
# rate to keep the example short. Learning sound must not be training sound: a detector scores its own training clips lower
# than new ones.

import matplotlib.pyplot as plt
import numpy as np

from skasd.datasets import make_machine_clips
from skasd.detectors import StatisticsDetector
from skasd.features import LogMelTransformer
from skasd.monitoring import Monitor, score_windows

RATE = 4000
same = {"sample_rate": RATE, "duration": 10.0, "target_share": 0.0, "snr_db": 12.0, "random_state": 0}
made = make_machine_clips("pump", n_train=60, n_test_normal=360, n_test_anomaly=0, **same)
clips = np.stack(made.data["waveform"])
clips *= 0.05 / clips.std(axis=1, keepdims=True)  # the microphone stays where it is
train, sound = clips[:60].reshape(-1, 5 * RATE), clips[60:].ravel()

front_end = LogMelTransformer(sample_rate=RATE, n_fft=512, hop_length=256, n_mels=32)
detector = StatisticsDetector(frontend=front_end).fit(list(train))
scores = score_windows(detector, sound)
print(
    f"{len(scores)} windows, {np.sum(scores['decision'] == 'anomaly')} alarms of single windows in an hour of normal sound"
)

# %%
# The threshold from false episodes per day
# -----------------------------------------
#
# Forty minutes are far too little for one false episode per day. The monitor says how much it takes.

known, new = np.split(sound, [40 * 60 * RATE])
try:
    Monitor(detector).learn([known])
except ValueError as error:
    print(error)

# %%
# Fifty false episodes per day, about one in half an hour, can be had from forty minutes. The interval says how well forty
# minutes can tell their number.

monitor = Monitor(detector, false_episodes_per_day=50, end_share=0.1, longest_gap=5.0, drift_interval=20.0)
learning = monitor.learn([known])
print(
    f"threshold {learning.threshold:.1f} after {learning.hours:.2f} hours: {learning.episodes_per_day:.0f} false episodes "
    f"per day (95 % interval {learning.lowest_per_day:.0f} to {learning.highest_per_day:.0f})"
)

# %%
# A stream in pieces
# ------------------
#
# The other twenty minutes come as a stream, and after ten of them the pump leaks for a minute. A piece may have any length.

leak = make_machine_clips(
    "pump", n_train=0, n_test_normal=0, n_test_anomaly=6, anomalies=("leak",), severity=4.0, **same
)
faulty = np.stack(leak.data["waveform"])
faulty *= 0.05 / faulty.std(axis=1, keepdims=True)
onset = len(new) // 2
new[onset : onset + faulty.size] = faulty.ravel()

episodes, windows = {}, []
for piece in np.array_split(new, 300):
    heard = monitor.push(piece)
    windows.append(heard.windows[["start", "end", "anomaly_score"]])
    episodes |= {episode.started_at: episode for episode in heard.episodes}
for episode in episodes.values():
    print(f"{episode.n_windows} windows, largest score {episode.largest_score:.1f}")

# %%
# An episode starts when the score exceeds the threshold. It ends when the score has been below the lower level, which 10 %
# of the windows of normal sound exceed here, for longer than `longest_gap`.

start = np.concatenate([table["start"].to_numpy(dtype=float) for table in windows]) / 60
score = np.concatenate([table["anomaly_score"].to_numpy(dtype=float) for table in windows])
figure, ax = plt.subplots(figsize=(8, 3), layout="constrained")
ax.plot(start, score, linewidth=0.8)
ax.axhline(learning.threshold, color="black", linestyle="--", label="threshold")
ax.axhline(learning.details["lower_level"], color="black", linestyle=":", label="lower level")
first = min(episodes) if episodes else None
for episode in episodes.values():
    begin = np.flatnonzero(score == episode.largest_score)[0]
    ax.plot(start[begin], score[begin], "v", color="C1", label="episode" if episode.started_at == first else None)
ax.axvspan(onset / RATE / 60, (onset + faulty.size) / RATE / 60, color="C1", alpha=0.15, label="leak")
ax.set(xlabel="time, min", ylabel="anomaly score", yscale="symlog")
ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)

# %%
# A machine that has changed
# --------------------------
#
# The gain of the microphone is turned up. The machine is healthy, yet no score is what it was: one alarm about drift, and
# one long episode instead of many short ones. Once it is known that all is well, `relearn` begins a new learning period.

alarm, starts = None, set()
for piece in np.array_split(2 * known, 60):
    heard = monitor.push(piece)
    starts |= {episode.started_at for episode in heard.episodes}
    alarm = alarm or heard.drift
print(f"drift: {alarm is not None}, episodes: {len(starts)}")
monitor.relearn()

# %%
# State
# -----
#
# The monitor is kept in a small file, and goes on from it as if it had never been stopped: ``monitor.save("pump.json")`` and
# ``Monitor.load("pump.json", detector)``. Next: the guide says what is promised, and what is not.
