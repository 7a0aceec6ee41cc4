"""Before any test is collected: the shapes in the annotations of networks, losses and augmentations are checked."""

from jaxtyping import install_import_hook

import tests.shape_checks  # noqa: F401  # the hook looks it up by name

install_import_hook(["skasd.networks", "skasd.losses", "skasd.augmentations"], "tests.shape_checks.checked")
