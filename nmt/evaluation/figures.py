"""Figure class of the plots. It is imported only when a figure is drawn, because matplotlib is slow."""

from io import BytesIO

from matplotlib.figure import Figure


class NotebookFigure(Figure):
    """Figure without pyplot's global state, which notebooks show as a picture."""

    def _repr_png_(self) -> bytes:
        content = BytesIO()
        self.savefig(content, format="png", dpi=130)
        return content.getvalue()
