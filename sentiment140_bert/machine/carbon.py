"""The CO2 of a training, estimated by codecarbon from the power of the machine and the electricity of its country."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from sentiment140_bert import schemas
from sentiment140_bert.errors import MissingExtra, RecipeError

if TYPE_CHECKING:
    from codecarbon import OfflineEmissionsTracker

log = logging.getLogger(__name__)
CONFIG = ".codecarbon.config"  # which codecarbon reads from the home folder, and from the current one
# Whatever a configuration file or variable of codecarbon says: nothing is written or sent.
QUIET: dict[str, Any] = {
    **{"output_methods": [], "emissions_endpoint": None, "electricitymaps_api_token": None},
    **{"allow_multiple_runs": True, "log_level": "error"},  # else it writes a lock, and handles signals
}


def check_country(country: str | None) -> None:
    """Make sure that the CO2 of a country's electricity is known; None is not to be estimated.

    Raises:
        MissingExtra: codecarbon is not installed.
        RecipeError: It does not know the country, or a file of the current folder would decide on the estimate.
    """
    if country is None:
        return
    if not find_spec("codecarbon"):
        raise MissingExtra("An estimate of the CO2", "carbon")
    if os.path.lexists(CONFIG):
        raise RecipeError(
            [f"carbon_country: {CONFIG} in the current folder sets what is emitted; move it to your home"]
        )
    if country not in _read_countries():
        raise RecipeError([f"carbon_country: codecarbon does not know {country}; it is a code as in USA, DEU or JPN"])


def _read_countries() -> dict[str, Any]:
    from codecarbon.input import DataSource

    countries: dict[str, Any] = DataSource().get_global_energy_mix_data()
    return countries


class Carbon:
    """A context manager that adds the CO2 of the whole machine, while it is open, to what was emitted before.

    Args:
        country: ISO 3166-1 alpha-3 code, checked by :func:`check_country`; None estimates nothing.
        environment: Content of ``environment.json``; it gets, or has, the key ``carbon``.
        write: Writes it.
    """

    def __init__(self, country: str | None, environment: schemas.StartedEnvironment, write: Callable[[], None]) -> None:
        self.country = country
        self.environment = environment
        self.write = write
        self.before = environment["carbon"]["grams"] if "carbon" in environment else 0.0
        self._tracker: OfflineEmissionsTracker | None = None

    def __enter__(self) -> Carbon:
        if self.country:
            from codecarbon import OfflineEmissionsTracker

            logging.getLogger("codecarbon").setLevel(logging.ERROR)
            self._tracker = OfflineEmissionsTracker(country_iso_code=self.country, **QUIET)
            self._tracker.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._tracker:
            self._note(self._tracker.stop())

    def save(self) -> None:
        """Write what was emitted so far; a killed run resumes from it."""
        if self._tracker:
            self._note(self._tracker.flush())

    def _note(self, kilograms: float | None) -> None:
        if kilograms is None or self.country is None:
            log.warning("carbon: codecarbon measured nothing")
            return
        self.environment["carbon"] = {
            "grams": round(self.before + 1000 * kilograms, 6),
            "country": _read_countries()[self.country]["country_name"],
            "source": f"codecarbon {version('codecarbon')}",
        }
        self.write()
