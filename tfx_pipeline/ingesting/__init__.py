"""A folder of captioned pictures becomes examples, watched for drift and transformed."""
