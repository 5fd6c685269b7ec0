"""Captioned pictures in: the reader of a folder, the importer, and the data sets that Easel draws itself."""
