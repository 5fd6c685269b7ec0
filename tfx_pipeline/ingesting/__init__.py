"""From a folder of captioned pictures to examples, with the check for drift and the transform."""
