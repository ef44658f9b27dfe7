"""Pictures and tables without any model."""

import unittest
import zlib

import numpy as np
from support import needs

import lvo
from lvo import pictures


class PictureTests(unittest.TestCase):
    def test_a_png_holds_the_pixels(self):
        rgb = np.random.default_rng(1).integers(0, 256, (5, 7, 3), dtype=np.uint8)
        data = pictures.png(rgb)
        start = data.index(b"IDAT")
        length = int.from_bytes(data[start - 4 : start], "big")
        rows = np.frombuffer(zlib.decompress(data[start + 4 : start + 4 + length]), np.uint8).reshape(5, 22)
        np.testing.assert_array_equal(rows[:, 1:].reshape(5, 7, 3), rgb)
        self.assertTrue((rows[:, 0] == 0).all())

    @needs("PIL")
    def test_pillow_reads_that_png(self):
        import io

        from PIL import Image

        rgb = np.random.default_rng(1).integers(0, 256, (5, 7, 3), dtype=np.uint8)
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(pictures.png(rgb)))), rgb)

    def test_a_grid_lays_pictures_in_rows(self):
        tiles = [np.full((2, 3, 3), value, np.uint8) for value in (0, 50, 100)]
        sheet = lvo.grid(tiles, columns=2, gap=1)
        self.assertEqual(sheet.shape, (5, 7, 3))
        self.assertEqual((sheet[0, 0, 0], sheet[0, 4, 0], sheet[3, 0, 0], sheet[3, 4, 0]), (0, 50, 100, 255))
        with self.assertRaises(lvo.InvalidArgument):
            lvo.grid([])

    def test_pixels_refuse_what_is_no_picture(self):
        for wrong in (np.zeros((4, 4)), np.zeros((4, 4, 3), np.int64), np.full((4, 4, 3), np.nan)):
            with self.assertRaises(lvo.InvalidArgument):
                pictures.pixels(wrong)


class TableTests(unittest.TestCase):
    def test_a_table_is_sorted_filtered_and_shown(self):
        table = lvo.Table([{"n": 1, "x": None}, {"n": 2, "x": 0.5}, {"n": 3, "x": 1.25}])
        self.assertEqual(table.sorted_by("x").column("n"), [3, 2, 1])
        self.assertEqual(table.where(n=2), [{"n": 2, "x": 0.5}])
        self.assertEqual(
            lvo.Table([{"a<b": "&"}])._repr_html_(),
            "<table><thead><tr><th>a&lt;b</th></tr></thead><tbody><tr><td>&amp;</td></tr></tbody></table>",
        )
        self.assertIn("61 rows, 60 shown", lvo.Table({"n": n} for n in range(61))._repr_html_())


if __name__ == "__main__":
    unittest.main()
