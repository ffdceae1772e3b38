"""Documents: sentences with inline markup, protected text and terms."""
