"""The declarations of the library's functions against lvo.h."""

import re
import unittest

from support import REPOSITORY

from lvo import library

HEADER = REPOSITORY / "Sources/CLVO/lvo.h"


def letter(parameter):
    """The letter of library.py for a parameter in C; none for the error."""
    if "lvo_error" in parameter:
        return ""
    if "lvo_progress" in parameter:
        return "c"
    if re.search(r"char \*\w+$", parameter):
        return "s"
    if re.search(r"(char|lvo_\w+|const void) \*\*\w+$", parameter) and "const *" not in parameter:
        return "o"
    if "*" in parameter or "[" in parameter:
        return "p"
    return {"int32_t": "i", "int64_t": "l", "uint64_t": "u"}[parameter.split()[0]]


class LibraryTests(unittest.TestCase):
    def test_every_function_is_declared_as_the_header_has_it(self):
        header = re.sub(r"/\*.*?\*/", "", HEADER.read_text(), flags=re.DOTALL)
        functions = re.findall(r"int32_t lvo_(\w+)\((.*?)\);", header, flags=re.DOTALL)
        expected = {name: "".join(letter(one.strip()) for one in rest.split(",")) for name, rest in functions}
        self.assertEqual(library._FUNCTIONS, expected)

    def test_codes_have_exceptions(self):
        codes = re.findall(r"LVO_[A-Z_]+ = (\d+),? +/\*", HEADER.read_text())
        self.assertEqual(set(library.BY_CODE), {int(code) for code in codes if code != "0"})


if __name__ == "__main__":
    unittest.main()
