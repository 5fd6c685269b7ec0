"""The studio: a page to draw on, and an HTTP API of the shape that OpenAI's clients speak, before any model server.

`schemas` holds what the API takes and gives, `drawing` and `restoring` ask the model server through
`serving.client.AsyncClient`, `api` carries both over HTTP, `openapi` describes it, `site` binds it all to a port, and
`page` is what a browser shows: plain HTML, CSS and ES modules, which load nothing from elsewhere.
"""
