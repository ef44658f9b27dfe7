"""Studies: a small one that `lvo study run` made (12 prompts of the embedded model), cut to four subjects."""

import tempfile
import unittest
from pathlib import Path

from support import LAYER, needs

import lvo

FOLDER = Path(__file__).parent / "fixtures/study"


class StudyTests(unittest.TestCase):
    def setUp(self):
        self.study = lvo.Study.open(FOLDER)

    def test_features_are_a_table(self):
        table = self.study.features
        self.assertEqual(
            [(row["space"], row["index"]) for row in table],
            [("features", 3), ("features", 351), ("features", 570), ("channels", 7)],
        )
        self.assertEqual(table[2]["layer"], LAYER)
        self.assertEqual(table[2]["words"], ["vertical", "cyan", "large"])
        self.assertEqual(table.where(space="features").sorted_by("reach")[0]["index"], 351)
        self.assertIsNone(table.sorted_by("reach")[-1]["reach"])
        self.assertEqual(set(table.columns), set(table[3]))
        self.assertIn("<th>largest_activation</th>", self.study._repr_html_())

    def test_a_feature_shows_its_dreams_beside_its_examples(self):
        feature = self.study.feature(570)
        self.assertEqual((feature.layer, feature.index, feature.peaks), (LAYER, 570, [499]))
        self.assertEqual(feature._repr_html_().count("data:image/png;base64,"), 5)
        self.assertTrue(feature.picture_path(feature.examples[0]["picture"]).is_file())
        self.assertAlmostEqual(feature.measures["reach"], 0.66, places=2)
        self.assertIn("dreams at [301]", repr(feature))

    def test_the_summary_has_a_row_for_each_measure(self):
        row = self.study.summary.where(measure="reach", of="features")[0]
        self.assertEqual(row["layer"], LAYER)
        self.assertLessEqual(row["lower_quartile"], row["upper_quartile"])

    def test_what_is_missing_is_named(self):
        with self.assertRaisesRegex(lvo.NotFound, "lvo study run"):
            lvo.Study.open(Path(__file__).parent)
        with self.assertRaisesRegex(lvo.InvalidArgument, "features 999"):
            self.study.feature(999)
        with self.assertRaisesRegex(lvo.InvalidArgument, "layer mid_block"):
            self.study.feature(570, layer="mid_block")

    @needs("pandas")
    def test_the_table_goes_to_pandas(self):
        frame = self.study.features.to_pandas()
        self.assertEqual(list(frame["index"]), [3, 351, 570, 7])

    @needs("pyarrow")
    def test_the_table_goes_to_parquet(self):
        import pyarrow.parquet

        with tempfile.TemporaryDirectory() as folder:
            self.study.to_parquet(f"{folder}/features.parquet")
            table = pyarrow.parquet.read_table(f"{folder}/features.parquet")
            self.assertEqual(table.column("index").to_pylist(), [3, 351, 570, 7])
            self.assertEqual(table.column("words").to_pylist()[2], ["vertical", "cyan", "large"])


if __name__ == "__main__":
    unittest.main()
