"""Translation of documents: text, Markdown, HTML, subtitles, TMX and XLIFF, with everything but the sentences kept."""
