"""What people type beside the goods themselves: names of deliveries, reasons, their own name."""

import unicodedata

_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
LONGEST_NAME = 80
LONGEST_REASON = 500


def word_fault(value: str, longest: int = LONGEST_NAME) -> str:
    """Why a database and a person cannot keep this as a name, or nothing."""
    if not value.strip():
        return "is empty"
    if len(value) > longest:
        return f"is longer than {longest} characters"
    hidden = next((one for one in value if unicodedata.category(one) in _INVISIBLE and one not in "\n\t"), None)
    return f"has an invisible character (U+{ord(hidden):04X}) in it" if hidden else ""


def words_fault(**given: str) -> str:
    """The first of these that cannot be kept, and why; `reason` may be long."""
    for name, value in given.items():
        fault = word_fault(value, LONGEST_REASON if name == "reason" else LONGEST_NAME)
        if fault:
            return f"the {name.replace('_', ' ')} {fault}"
    return ""
