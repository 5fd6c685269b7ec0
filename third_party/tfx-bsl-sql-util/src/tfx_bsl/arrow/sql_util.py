"""The name that tensorflow-data-validation 1.16.1 imports from tfx-bsl and tfx-bsl 1.21 no longer has.

Only slicing statistics by a SQL query needs it. Easel slices by feature, so the class refuses to be made.
"""


class RecordBatchSQLSliceQuery:
    """Stands for the removed class; raises NotImplementedError on construction."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        raise NotImplementedError("SQL slices are not available with tfx-bsl 1.21; slice by feature keys instead.")
