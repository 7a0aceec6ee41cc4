"""The closed list of classes and functions that a model file may name.

A name in a file is that of the time when it was written. Where something is renamed or moves to another module, its old name
goes into `_RENAMED`, so that older files can be read for ever.
"""

import importlib
from typing import Any

_CLASSES = {
    "skasd._mel": "MelDefinition",
    "skasd.augmentations._normalisation": "PreNormalisation PostNormalisation",
    "skasd.augmentations._spectrum_augmentation": "SpectrumAugmentation SpectrumAugmenter",
    "skasd.clips._audio": "ClipReader",
    "skasd.clips._normal_levels": "NormalLevels",
    "skasd.clips._recordings": "Recordings",
    "skasd.clips._residual": "Residual",
    "skasd.clips._training_data": "TrainingData",
    "skasd.clips._windows": "TrainingLength",
    "skasd.clustering._clip_statistics": "ClipStatistics",
    "skasd.clustering._models": "ByMixture ByCenter Clusters",
    "skasd.clustering._statistical": "StatisticalClusterer _Space",
    "skasd._deciding": "NormalScores",
    "skasd.decisions._calibrated": "CalibratedDetector",
    "skasd.decisions._calibration": "Calibration",
    "skasd.decisions._groups": "Group",
    "skasd.decisions._more": "KnownClips",
    "skasd.detectors._autoencoder": "AutoencoderDetector _Machine",
    "skasd.detectors._beside": "FewScores StatisticsBeside",
    "skasd.detectors._contrastive_spectrum": "ContrastiveSpectrumDetector",
    "skasd.detectors._ensemble": "EnsembleDetector",
    "skasd.detectors._experts": "_Distance Normal FittedExperts",
    "skasd.detectors._joint_ae_cnn": "JointAECNNDetector",
    "skasd.detectors._machine_scores": "ClipOutputs LearntClips MachineScores",
    "skasd.detectors._osscl": "OSSCLDetector",
    "skasd.detectors._patch_outputs": "OneOfSeveral",
    "skasd.detectors._self_supervised": "SelfSupervisedDetector",
    "skasd.detectors._spectrum_models": "Mixtures Scorers",
    "skasd.detectors._stat_cluster": "StatClusterDetector",
    "skasd.detectors._statistics": "StatisticsDetector",
    "skasd.detectors._twfr": "TWFRDetector",
    "skasd.detectors._twfr_scores": "Machine",
    "skasd.features._embedder": "Cutter Embedder",
    "skasd.features._encoder_layers": "Layers",
    "skasd.features._encoders": "FileEncoder TransformersEncoder",
    "skasd.features._log_mel": "LogMelTransformer",
    "skasd.features._median_filter": "MedianFilter",
    "skasd.features._noise_reduced": "NoiseReducedLogMel _Reduction",
    "skasd.features._pooled": "Pooling",
    "skasd.features._pretrained": "PretrainedEmbedding",
    "skasd.features._statistics": "StatisticsTransformer",
    "skasd.features._tfgram": "TFgramTransformer",
    "skasd.features._time_pooling": "TimePooling",
    "skasd.features._twfr": "TWFRTransformer",
    "skasd.inputs._attribute_fit": "AttributeFit",
    "skasd.inputs._frontend": "Frontend _Composed _OnDevice",
    "skasd.inputs._network_fit": "NetworkFit",
    "skasd.inputs._network_inputs": "NetworkInputs",
    "skasd.losses._adacos": "SubClusterAdaCosHead",
    "skasd.losses._adaproj": "AdaProjHead",
    "skasd.losses._arcface": "ArcFaceHead",
    "skasd.networks._autoencoder": "DenseAutoencoder",
    "skasd.networks._byol_a": "BYOLANet",
    "skasd.networks._cpu_layers": "NormActivation DepthwiseConv2d GlobalDepthwiseConv2d",
    "skasd.networks._dropout": "Dropout",
    "skasd.networks._dual_branch": "SpectrumBranch SpectrogramBranch ResidualBlock SpectrumNet",
    "skasd.networks._efficientnet": "EfficientNetB0",
    "skasd.networks._frequency_attention": "FrequencyAttention FrequencyGate",
    "skasd.networks._joint": "JointNet",
    "skasd.networks._mel": "LogMelNet",
    "skasd.networks._mobilefacenet": "MobileFaceNet Bottleneck",
    "skasd.networks._mobilenet": "MobileNetV2 InvertedResidual ChannelWeights",
    "skasd.networks._osscl": "OSSCLNet",
    "skasd.networks._perturbation": "PerturbationHead",
    "skasd.networks._segments": "SegmentNet",
    "skasd.networks._squeeze_excitation": "SqueezeExcitation",
    "skasd.networks._tagram": "TAgramNet",
    "skasd.networks._tfgram": "TFgramNet",
    "skasd.networks._tgram": "TgramNet",
    "skasd.networks._time_pooling": "TimePooling",
    "skasd.objectives._autoencoder": "Residuals",
    "skasd.objectives._joint_ae_cnn": "PatchOptions JointOptions JointObjective PatchOutputs",
    "skasd.objectives._network_options": "MobileFaceNetOptions SegmentNetOptions JointNetOptions DualBranchNetOptions",
    "skasd.scoring._approximate": "ApproximateNeighbors DensityLayers",
    "skasd.scoring._base": "BackEnd",
    "skasd.scoring._distance": "KnownEmbeddings",
    "skasd.scoring._gmm": "GMMScorer",
    "skasd.scoring._kmeans": "KMeansScorer",
    "skasd.scoring._knn": "KNNScorer",
    "skasd.scoring._local_density": "LocalDensityScorer",
    "skasd.scoring._mahalanobis": "MahalanobisScorer",
    "skasd.scoring._scaled_knn": "ScaledKNNScorer",
    "skasd.scoring._scaled_neighbors": "Scaling ScaledNeighbors",
    "skasd.training._options": "TrainingPlan TrainingOptions",
    "sklearn.cluster": "KMeans MiniBatchKMeans",
    "sklearn.covariance": "EllipticEnvelope EmpiricalCovariance LedoitWolf MinCovDet OAS ShrunkCovariance",
    "sklearn.decomposition": "FactorAnalysis FastICA IncrementalPCA KernelPCA NMF PCA TruncatedSVD",
    "sklearn.ensemble": "IsolationForest",
    "sklearn.feature_selection": "VarianceThreshold",
    "sklearn.frozen": "FrozenEstimator",
    "sklearn.impute": "SimpleImputer",
    "sklearn.kernel_approximation": "Nystroem RBFSampler",
    "sklearn.mixture": "BayesianGaussianMixture GaussianMixture",
    "sklearn.neighbors": "KernelDensity LocalOutlierFactor NearestNeighbors",
    "sklearn.pipeline": "FeatureUnion Pipeline",
    "sklearn.preprocessing": "KernelCenterer MaxAbsScaler MinMaxScaler Normalizer PowerTransformer QuantileTransformer"
    " RobustScaler StandardScaler",
    "sklearn.random_projection": "GaussianRandomProjection",
    "sklearn.svm": "OneClassSVM",
    "sklearn.tree": "ExtraTreeRegressor",
    "torch.nn": "AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveMaxPool1d AdaptiveMaxPool2d AvgPool1d AvgPool2d BatchNorm1d"
    " BatchNorm2d Conv1d Conv2d Dropout Flatten GELU Hardswish Identity InstanceNorm1d InstanceNorm2d LayerNorm LeakyReLU"
    " Linear MaxPool1d MaxPool2d ModuleDict ModuleList PReLU ReLU ReLU6 Sequential SiLU Sigmoid Softmax Tanh",
}
_FUNCTIONS = {
    "numpy": "asarray",
    "skasd.features._log_mel": "_centers _on_device _shape",
    "skasd.features._median_filter": "filtered",
    "skasd.features._mel_cpu": "log_mel",
}
_RENAMED = {
    "skasd.detectors._twfr._Machine": "skasd.detectors._twfr_scores.Machine",
    "skasd.scoring._scaled_knn.ScaledNeighbors": "skasd.scoring._scaled_neighbors.ScaledNeighbors",
    "skasd.scoring._scaled_knn.Scaling": "skasd.scoring._scaled_neighbors.Scaling",
}


_CLASS_NAMES = frozenset(f"{module}.{name}" for module, names in _CLASSES.items() for name in names.split())
_FUNCTION_NAMES = frozenset(f"{module}.{name}" for module, names in _FUNCTIONS.items() for name in names.split())
_PUBLIC = {name.rpartition(".")[2]: name for name in _CLASS_NAMES | _FUNCTION_NAMES if not name.startswith("skasd.")}


def name_of(thing: Any) -> str | None:
    """Name in model files of a class or function.

    Parameters
    ----------
    thing : type or callable
        Class or function.

    Returns
    -------
    name : str or None
        Its name, or None if it is not in the list.
    """
    own, module = getattr(thing, "__qualname__", ""), str(getattr(thing, "__module__", ""))
    name = f"{module}.{own}" if module.startswith("skasd.") else _PUBLIC.get(own, "")
    is_listed = name in _CLASS_NAMES or name in _FUNCTION_NAMES
    return name if is_listed and _found(name) is thing else None


def current_name(name: Any) -> Any:
    """Name today of what a file calls so."""
    return _RENAMED.get(name, name) if isinstance(name, str) else name


def class_named(name: Any) -> Any:
    """Class of a name in a model file; raises ValueError if it is not in the list.

    Parameters
    ----------
    name : str
        Name that a file says.
    """
    return _listed(name, _CLASS_NAMES, "class")


def function_named(name: Any) -> Any:
    """Function of a name in a model file; raises ValueError if it is not in the list.

    Parameters
    ----------
    name : str
        Name that a file says.
    """
    return _listed(name, _FUNCTION_NAMES, "function")


def _listed(name: Any, known: frozenset[str], what: str) -> Any:
    name = current_name(name)
    if not isinstance(name, str) or name not in known:
        raise ValueError(f"it names the {what} {name!r}, which is not in the list of those that model files may name")
    found = _found(name)
    if found is None:
        raise ValueError(f"it names the {what} {name!r}, which the installed version of {name.split('.')[0]} lacks")
    return found


def _found(name: str) -> Any:
    module, _, own = name.rpartition(".")
    return getattr(importlib.import_module(module), own, None)
