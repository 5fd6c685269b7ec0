"""The studio: a web page, and an HTTP API for OpenAI's clients, in front of any model server.

`schemas` defines requests and responses of the API. `drawing` and `restoring` call the model server with
`serving.client.AsyncClient`. `api` handles HTTP, `openapi` describes the API, and `site` serves everything at a port.
`page` contains the page: plain HTML, CSS and ES modules, which load nothing from elsewhere.
"""
