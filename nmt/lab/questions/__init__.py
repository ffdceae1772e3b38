"""Research questions: measurements of their rows, and the page of answers."""
