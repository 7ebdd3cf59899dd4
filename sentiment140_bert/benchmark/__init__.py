"""Contenders for the same work, measured in turns on this machine, beside the best that it can do."""

from sentiment140_bert.benchmark.alternation import alternate
from sentiment140_bert.benchmark.contender import Contender, Measured, Work
from sentiment140_bert.benchmark.report import report_of

__all__ = ["Contender", "Measured", "Work", "alternate", "report_of"]
