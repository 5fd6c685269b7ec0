"""The embedded server, the client, and the deployment of TensorFlow Serving."""
