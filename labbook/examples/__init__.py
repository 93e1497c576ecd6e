"""The example catalogue, packaged with the code: an example and no inventory of any laboratory."""

from pathlib import Path

CATALOGUE = Path(__file__).resolve().parent / "catalogue.toml"
