"""What makes an SQLite file a database of `skasd watch`: the number of the program and that of the tables."""

APPLICATION_ID = 0x736B6173  # "skas", PRAGMA application_id
SCHEMA_VERSION = 1  # PRAGMA user_version
