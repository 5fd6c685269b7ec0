"""What `easel bench quality` measures: each model against a figure that can be held beside the literature."""
