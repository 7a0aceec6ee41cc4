"""The error of estimators, or parameters of them, that have no ONNX graph."""


def refused(what: str, way_out: str) -> ValueError:
    """Error to raise.

    Parameters
    ----------
    what : str
        What cannot be exported, with the name of the parameter.
    way_out : str
        What to do instead.
    """
    return ValueError(f"to_onnx cannot export {what}; {way_out}.")
