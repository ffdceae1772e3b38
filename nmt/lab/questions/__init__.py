"""Research questions: measurements of their rows, and the page of answers."""

from nmt.lab.questions.measure import MeasuredTable, measure
from nmt.lab.questions.page import AnsweredQuestion, WorkTotals, claims_to_paste
from nmt.lab.questions.page import page as questions_page

__all__ = ["AnsweredQuestion", "MeasuredTable", "WorkTotals", "claims_to_paste", "measure", "questions_page"]
