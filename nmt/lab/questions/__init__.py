"""Research questions: measurements of their rows, and the page of answers."""

from nmt.lab.questions.measure import Measured, measure
from nmt.lab.questions.page import Answered, Totals, claims_to_paste
from nmt.lab.questions.page import page as questions_page

__all__ = ["Answered", "Measured", "Totals", "claims_to_paste", "measure", "questions_page"]
