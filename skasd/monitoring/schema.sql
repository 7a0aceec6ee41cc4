-- Database of `skasd watch`, version 1. Times are UTC, "2026-11-29T14:55:23.125Z"; durations are in seconds.

CREATE TABLE model (
  id INTEGER PRIMARY KEY,
  fingerprint TEXT NOT NULL UNIQUE,  -- SHA-256 of the model file
  path TEXT NOT NULL,
  description TEXT NOT NULL,         -- JSON, what `skasd show` prints
  first_used_at TEXT NOT NULL
) STRICT;

CREATE TABLE machine (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,         -- as in the model file; "" if it has one detector without a name
  monitor TEXT,                      -- JSON, state of its Monitor after the last recording,
  model_id INTEGER REFERENCES model (id)  -- and the model that it is of
) STRICT;

CREATE TABLE recording (
  id INTEGER PRIMARY KEY,            -- in the order in which they were heard
  path TEXT NOT NULL,
  size INTEGER NOT NULL,             -- bytes
  modified_ns INTEGER NOT NULL,      -- time of the last change, ns since 1970
  inode INTEGER,                     -- number in its file system, which a renamed file keeps
  machine_id INTEGER NOT NULL REFERENCES machine (id),
  model_id INTEGER NOT NULL REFERENCES model (id),
  started_at TEXT NOT NULL,
  duration REAL NOT NULL,
  heard_at TEXT NOT NULL,
  UNIQUE (path, size, modified_ns)
) STRICT;
CREATE INDEX recording_by_time ON recording (machine_id, started_at);
CREATE INDEX recording_by_change ON recording (modified_ns, size);  -- finds a file again that was renamed

CREATE TABLE window (
  recording_id INTEGER NOT NULL REFERENCES recording (id) ON DELETE CASCADE,
  number INTEGER NOT NULL,           -- within the recording, from 0
  start REAL NOT NULL,               -- from the start of the recording
  end REAL NOT NULL,
  anomaly_score REAL NOT NULL,       -- high is anomalous
  p_value REAL,
  is_anomaly INTEGER NOT NULL,       -- decision of the detector about this window alone
  PRIMARY KEY (recording_id, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE learning (              -- each time that a Monitor set its threshold
  id INTEGER PRIMARY KEY,
  machine_id INTEGER NOT NULL REFERENCES machine (id),
  learnt_at TEXT NOT NULL,
  hours REAL NOT NULL,               -- of normal sound
  threshold REAL NOT NULL,           -- on the anomaly score
  episodes_per_day REAL NOT NULL,    -- expected false ones at this threshold
  lowest_per_day REAL NOT NULL,      -- 95 % interval
  highest_per_day REAL NOT NULL,
  details TEXT NOT NULL              -- JSON, what changed since the last learning
) STRICT;
CREATE INDEX learning_by_time ON learning (machine_id, learnt_at);

CREATE TABLE episode (
  id INTEGER PRIMARY KEY,
  machine_id INTEGER NOT NULL REFERENCES machine (id),
  started_at TEXT NOT NULL,
  ended_at TEXT,                     -- NULL while it lasts
  n_windows INTEGER NOT NULL,        -- from its first to its last
  largest_score REAL NOT NULL,
  threshold REAL NOT NULL,
  recording_id INTEGER NOT NULL REFERENCES recording (id),  -- of the window with the largest score,
  window_number INTEGER NOT NULL,                           -- and its number
  told_at TEXT,                      -- when it was printed and --on-episode had run: first, as it started,
  end_told_at TEXT,                  -- and as it ended
  UNIQUE (machine_id, started_at)
) STRICT;
CREATE INDEX episode_by_time ON episode (machine_id, started_at);
CREATE INDEX episode_to_tell ON episode (id) WHERE end_told_at IS NULL;

CREATE TABLE drift (                 -- alarms of the test of exchangeability
  id INTEGER PRIMARY KEY,
  machine_id INTEGER NOT NULL REFERENCES machine (id),
  recording_id INTEGER NOT NULL REFERENCES recording (id),
  noticed_at TEXT NOT NULL,          -- time of the window at which the test fired
  log_martingale REAL NOT NULL,      -- base 10
  level REAL NOT NULL                -- probability of a false alarm at any time
) STRICT;
CREATE INDEX drift_by_time ON drift (machine_id, noticed_at);

CREATE TABLE failure (               -- files that could not be used
  id INTEGER PRIMARY KEY,
  path TEXT NOT NULL,
  size INTEGER NOT NULL,
  modified_ns INTEGER NOT NULL,
  reason TEXT NOT NULL,
  failed_at TEXT NOT NULL,
  model_id INTEGER REFERENCES model (id),  -- with another one it is tried again
  UNIQUE (path, size, modified_ns)
) STRICT;
CREATE INDEX failure_by_time ON failure (failed_at);
