"""Cross-validation splits that train on normal clips only, and hyperparameter search with or without anomalies."""

from skasd.model_selection._dcase import DCASESplit
from skasd.model_selection._normal_only import NormalOnlySplit
from skasd.model_selection._proxies import make_proxy_anomalies
from skasd.model_selection._proxy_search import ProxyAnomalyScorer, ProxyAnomalySplit

__all__ = ["DCASESplit", "NormalOnlySplit", "ProxyAnomalyScorer", "ProxyAnomalySplit", "make_proxy_anomalies"]
