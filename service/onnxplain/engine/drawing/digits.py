"""Numbers in few digits, as a figure writes them."""

from __future__ import annotations

import math

__all__ = ["number", "percent"]

SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def number(value: float) -> str:
    """Return a number in few digits: 0.02, −1,200, 3×10⁻⁵."""
    if not math.isfinite(value):
        return f"{value}".replace("-", "−")
    if value and not 1e-3 <= abs(value) < 1e6:
        digits, _, power = f"{value:.2e}".partition("e")
        digits = digits.rstrip("0").rstrip(".")
        return f"{digits}×10{str(int(power)).translate(SUPERSCRIPTS)}".replace("-", "−")
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return text.replace("-", "−")


def percent(probability: float) -> str:
    """Return a probability in percent, finer near its ends: 87 %, 99.8 %, 0.3 %, <0.01 %."""
    share = 100 * probability
    if 0 < share < 0.01:
        return "<0.01 %"
    if 1 <= share < 99:
        return f"{share:.0f} %"
    return f"{share:.3g} %" if share >= 99 else f"{share:.1g} %"
