"""Units of measurement and money, by the names that answers give them, and what one of each comes to."""

UNITS = {
    "duration": {
        "millisecond": 0.001, "second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800, "month": 2629746,
        "year": 31556952, "decade": 315569520, "century": 3155695200, "millennium": 31556952000,
    },
    "distance": {
        "nanometer": 1e-9, "millimeter": 0.001, "centimeter": 0.01, "meter": 1, "kilometer": 1000, "inch": 0.0254,
        "foot": 0.3048, "yard": 0.9144, "mile": 1609.344, "nautical mile": 1852, "light-year": 9.4607e15,
        "nm": 1e-9, "mm": 0.001, "cm": 0.01, "m": 1, "km": 1000, "in": 0.0254, "ft": 0.3048, "yd": 0.9144,
        "mi": 1609.344,
    },
    "speed": {
        "km/h": 0.2778, "kph": 0.2778, "mph": 0.4470, "m/s": 1, "knot": 0.5144, "mile per hour": 0.4470,
        "kilometer per hour": 0.2778, "meter per second": 1, "foot per second": 0.3048,
    },
    "weight": {
        "microgram": 1e-9, "milligram": 1e-6, "gram": 0.001, "kilogram": 1, "ton": 907.18, "tonne": 1000,
        "pound": 0.4536, "ounce": 0.02835, "stone": 6.35, "mg": 1e-6, "g": 0.001, "kg": 1, "lb": 0.4536, "oz": 0.02835,
    },
    "volume": {
        "milliliter": 1e-6, "liter": 0.001, "gallon": 0.003785, "pint": 0.000473, "quart": 0.000946, "cup": 0.000237,
        "barrel": 0.159, "cubic meter": 1, "cubic foot": 0.02832, "cubic mile": 4.168e9, "cubic kilometer": 1e9,
        "ml": 1e-6, "l": 0.001,
    },
    "area": {
        "acre": 4046.9, "hectare": 10000, "square meter": 1, "square foot": 0.0929, "square mile": 2589988,
        "square kilometer": 1e6, "square inch": 0.000645, "km²": 1e6, "m²": 1, "ha": 10000,
    },
    "other": {
        "byte": 1, "kilobyte": 1e3, "megabyte": 1e6, "gigabyte": 1e9, "terabyte": 1e12, "kB": 1e3, "MB": 1e6,
        "GB": 1e9, "TB": 1e12, "watt": 1, "kilowatt": 1e3, "megawatt": 1e6, "volt": 1, "calorie": 1, "hertz": 1,
        "decibel": 1, "horsepower": 1, "degree": 1, "point": 1,
    },
}  # fmt: skip
"""Names in the singular, by what they measure; each comes to so many of the first in SI, or of its own kind."""

IRREGULAR = {
    "century": "centuries", "millennium": "millennia", "inch": "inches", "foot": "feet", "square foot": "square feet",
    "square inch": "square inches", "cubic foot": "cubic feet", "hertz": "hertz", "horsepower": "horsepower",
    "stone": "stone", "mile per hour": "miles per hour", "kilometer per hour": "kilometers per hour",
    "meter per second": "meters per second", "foot per second": "feet per second",
}  # fmt: skip
"""The plurals that are not made with an s."""

SYMBOLS = frozenset(
    "nm mm cm m km in ft yd mi km/h kph mph m/s mg g kg lb oz ml l km² m² ha kB MB GB TB".split()
)  # fmt: skip
"""Signs of units, which have no plural and need no space before them."""

SMALLER = {
    ("year", "month"): 12, ("year", "day"): 366, ("week", "day"): 7, ("day", "hour"): 24, ("hour", "minute"): 60,
    ("minute", "second"): 60, ("month", "day"): 31, ("foot", "inch"): 12, ("mile", "yard"): 1760,
}  # fmt: skip
"""Pairs that stand together, as in 5 feet 11 inches, and from how many of the smaller on it were one of the larger."""

COINS = {"$": "dollar", "€": "euro", "£": "pound", "¥": "yen", "₹": "rupee"}
"""Signs that stand before an amount."""

CURRENCIES = {
    "dollar": "dollars", "US dollar": "US dollars", "cent": "cents", "euro": "euros", "pound": "pounds",
    "yen": "yen", "rupee": "rupees", "franc": "francs", "peso": "pesos", "ruble": "rubles", "yuan": "yuan",
    "crown": "crowns", "mark": "marks", "USD": "USD", "EUR": "EUR", "GBP": "GBP", "JPY": "JPY", "INR": "INR",
}  # fmt: skip
"""Names that stand behind an amount: singular and plural."""

COLDEST = {"°C": -273.15, "°F": -459.67, "K": 0.0, "degrees Celsius": -273.15, "degrees Fahrenheit": -459.67}
"""Scales of temperature and their absolute zero."""


def names_of(dimension: str) -> dict[str, str]:
    """Return every form of the names in a dimension, with the singular of each; `-meter` and `-liter` also in
    British spelling.
    """
    found: dict[str, str] = {}
    for name in UNITS[dimension]:
        plural = name if name in SYMBOLS else IRREGULAR.get(name, f"{name}s")
        for form in (name, plural):
            british = form.replace("meter", "metre").replace("liter", "litre")
            found |= {form: name, british: name}
    return found
