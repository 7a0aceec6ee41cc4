"""The public names: as designed, documented, and on the pages of the documentation."""

import importlib
import inspect
import pkgutil
import re
from functools import cached_property
from pathlib import Path

import pytest
import sklearn.base

import skasd

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = (
    "augmentations",
    "base",
    "benchmark",
    "clips",
    "clustering",
    "datasets",
    "decisions",
    "detectors",
    "export",
    "features",
    "inspection",
    "losses",
    "metrics",
    "model_selection",
    "monitoring",
    "networks",
    "objectives",
    "report",
    "scoring",
    "training",
)
TENSOR_FOLDERS = ("augmentations", "losses", "networks", "objectives")  # annotations of methods document shapes there
DOCUMENTED = ("PR01", "PR02", "RT01", "RT03")  # numpydoc: parameters and return values
PUBLIC = [(folder, name) for folder in FOLDERS for name in importlib.import_module(f"skasd.{folder}").__all__]


def test_designed_names_are_there():
    from skasd.clustering import ClipStatistics, StatisticalClusterer  # noqa: F401
    from skasd.datasets import load_clip_folder, load_dcase, make_machine_clips  # noqa: F401
    from skasd.detectors import (  # noqa: F401
        EnsembleDetector,
        OSSCLDetector,
        SelfSupervisedDetector,
        StatClusterDetector,
        TWFRDetector,
        stat_cluster_ensemble,
    )
    from skasd.features import LogMelTransformer, MedianFilter, TFgramTransformer, TWFRTransformer  # noqa: F401
    from skasd.metrics import (  # noqa: F401  # noqa: F401
        auc_score,
        auc_scorer,
        official_score,
        official_scorer,
        partial_auc_score,
        partial_auc_scorer,
        score_table,
    )
    from skasd.model_selection import DCASESplit, NormalOnlySplit  # noqa: F401
    from skasd.objectives import (  # noqa: F401
        DualBranchNetOptions,
        JointNetOptions,
        MobileFaceNetOptions,
        PatchOptions,
        SegmentNetOptions,
    )
    from skasd.scoring import GMMScorer, KMeansScorer, KNNScorer, MahalanobisScorer  # noqa: F401


def test_training_has_eight_public_names():
    from skasd import training

    names = ["ClipStore", "PatchStore", "Training", "TrainingOptions", "TrainingPlan", "evaluated", "seeded", "train"]
    assert sorted(training.__all__) == names


@pytest.mark.parametrize(("folder", "name"), PUBLIC, ids=lambda part: part)
def test_public_name_has_a_docstring_with_its_parameters(folder, name):
    public = getattr(importlib.import_module(f"skasd.{folder}"), name)
    documentation = inspect.getdoc(public) or ""
    assert documentation, name
    if not callable(public) or (not inspect.isfunction(public) and not inspect.isclass(public)):
        return
    for parameter in inspect.signature(public).parameters:
        assert re.search(rf"\b{re.escape(parameter)}\b", documentation), f"{name}: {parameter} is not documented"


def test_public_functions_and_constructors_are_annotated():
    """A call of one that is not is an error to `mypy --strict` in programs that use it."""
    named = {f"{folder}.{name}": getattr(importlib.import_module(f"skasd.{folder}"), name) for folder, name in PUBLIC}
    functions = {
        name: vars(public).get("__init__") if inspect.isclass(public) else public for name, public in named.items()
    }
    assert [name for name, each in functions.items() if inspect.isfunction(each) and not each.__annotations__] == []


def public_methods(folder, name):
    """Qualified names of the public methods and properties of a class, as far as they are ours."""
    public = getattr(importlib.import_module(f"skasd.{folder}"), name)
    if not inspect.isclass(public) or folder in TENSOR_FOLDERS:
        return
    for attribute in sorted(set(dir(public))):
        member = inspect.getattr_static(public, attribute)
        if isinstance(member, property):
            function = member.fget
        elif isinstance(member, cached_property):
            function = member.func
        else:
            function = getattr(member, "__func__", member)
        is_ours = inspect.isfunction(function) and function.__module__.startswith("skasd.")
        if is_ours and not attribute.startswith("_"):
            yield f"skasd.{folder}.{name}.{attribute}"


@pytest.mark.slow  # numpydoc is an optional package, for the documentation
@pytest.mark.parametrize(("folder", "name"), PUBLIC, ids=lambda part: part)
def test_parameters_and_return_values_are_documented(folder, name):
    validate = pytest.importorskip("numpydoc.validate").validate
    public = getattr(importlib.import_module(f"skasd.{folder}"), name)
    if not inspect.isclass(public) and not inspect.isroutine(public):
        return
    names = [f"skasd.{folder}.{name}", *public_methods(folder, name)]
    found = [(each, code, text) for each in names for code, text in validate(each)["errors"] if code in DOCUMENTED]
    assert not found, found


def test_every_estimator_says_who_wrote_what_it_does():
    for folder, name in PUBLIC:
        public = getattr(importlib.import_module(f"skasd.{folder}"), name)
        is_estimator = inspect.isclass(public) and issubclass(public, sklearn.base.BaseEstimator)
        if is_estimator and not inspect.isabstract(public):
            assert "Examples\n" in public.__doc__, name
            assert "References\n" in public.__doc__, name


def test_every_module_imports_without_optional_packages():
    for module in pkgutil.walk_packages(skasd.__path__, "skasd."):
        importlib.import_module(module.name)


def test_the_readme_names_the_two_commands():
    commands = re.search(r"```bash\n(.*?)\n```", (ROOT / "README.md").read_text(), re.DOTALL)[1].splitlines()
    assert commands == ["pip install . && skasd demo", 'pip install -e ".[test]" && pytest']


def test_readme_example_uses_names_that_exist():
    for line in re.findall(r"^from (skasd\.\w+) import (.+)$", (ROOT / "README.md").read_text(), re.MULTILINE):
        module = importlib.import_module(line[0])
        assert all(hasattr(module, name.strip()) for name in line[1].split(","))
