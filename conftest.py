"""The test run checks the shapes in the annotations of these packages."""

from jaxtyping import install_import_hook

# is_pep484_tower: an int is accepted where a float is expected.
install_import_hook(
    ["skasd.networks", "skasd.losses", "skasd.augmentations"],
    "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))",
)
