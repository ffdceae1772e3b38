"""Documents: formats, sentences with inline markup, protected text and terms."""
