"""The benchmarks of `easel bench`: speed, quality, the server and the data steps. They are not part of the wheel."""
