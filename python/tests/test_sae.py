"""Sparse autoencoders: encoding, decoding, training, and other libraries' files."""

import json
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np
from support import REPOSITORY, imported, needs, relative_error

import lvo


def reference(sae, x):
    """Features and reconstruction by the published formula, in float64."""
    p = {name: value.astype(np.float64) for name, value in sae.parameters.items()}
    pre = np.maximum((x - p["b_dec"]) @ p["encoder.weight"].T + p["encoder.bias"], 0)
    kth = np.sort(pre, axis=-1)[..., [-sae.info["k"]]]
    features = np.where(pre >= kth, pre, 0)
    return features, features @ p["W_dec"] + p["b_dec"]


class SAETests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sae = lvo.SAE.load("embedded", threads=1)
        cls.x = np.random.default_rng(5).standard_normal((3, 10, 64), dtype=np.float32)

    def test_features_and_reconstructions_are_those_of_the_formula(self):
        features, again = reference(self.sae, self.x)
        self.assertLess(relative_error(self.sae.encode(self.x), features), 1e-5)
        self.assertLess(relative_error(self.sae.decode(features), again), 1e-5)
        indices, values = self.sae.encode_top(self.x, 8)
        np.testing.assert_allclose(values, -np.sort(-features, axis=-1)[..., :8], rtol=1e-4, atol=1e-5)
        self.assertLess(relative_error(self.sae.decode_top(indices, values), again), 1e-5)
        self.assertGreater((self.sae.encode(self.x, selected=False) > 0).sum(), (features > 0).sum())

    def test_parameters_are_read_only_and_outlive_the_sae(self):
        sae = lvo.SAE.load("embedded", threads=1)
        rows = sae.parameters["W_dec"]
        sae.close()
        self.assertEqual(rows.shape, (768, 64))
        self.assertFalse(rows.flags.writeable)
        np.testing.assert_array_equal(rows, self.sae.parameters["W_dec"])
        with self.assertRaises(lvo.Closed):
            sae.encode(self.x)

    def test_saved_folders_are_the_same_autoencoder(self):
        with tempfile.TemporaryDirectory() as folder:
            for format in ("sparsify", "saelens"):
                self.sae.save(f"{folder}/{format}", format)
                again = lvo.SAE.load(f"{folder}/{format}")
                np.testing.assert_array_equal(again.encode(self.x), self.sae.encode(self.x))
                with self.assertRaises(lvo.CannotWrite):
                    self.sae.save(f"{folder}/{format}", format)
            with self.assertRaises(lvo.NotFound):
                lvo.SAE.load(f"{folder}/none")

    def test_wrong_arguments_are_named(self):
        for words, use in {
            r"x: shape \[3, 10, 63\]": lambda: self.sae.encode(self.x[..., :63]),
            r"features: shape \[3, 10, 64\]": lambda: self.sae.decode(self.x),
            "k: 0": lambda: self.sae.encode_top(self.x, 0),
            "format: other": lambda: self.sae.save("nowhere", "other"),
        }.items():
            with self.subTest(words), self.assertRaisesRegex(lvo.InvalidArgument, words):
                use()


class TrainingTests(unittest.TestCase):
    def rows(self, count):
        """Sums of few of 32 fixed directions: what a sparse autoencoder is for."""
        generator = np.random.default_rng(6)
        directions = generator.standard_normal((32, 16))
        for _ in range(count):
            weights = generator.random((100, 32)) * (generator.random((100, 32)) < 0.06)
            yield (weights @ directions).astype(np.float32).reshape(4, 25, 16)

    def test_training_explains_the_rows(self):
        seen = []
        settings = dict(latents=64, k=4, batch_tokens=256, steps=200, learning_rate=3e-3, threads=1, seed=1)
        sae = lvo.SAE.train(self.rows(600), buffer=2000, callback=seen.append, **settings)
        self.assertEqual((len(seen), sae.width, sae.features), (200, 16, 64))
        self.assertLess(seen[-1]["fvu"], 0.5 * seen[0]["fvu"])
        rest = np.concatenate(list(self.rows(3))).reshape(-1, 16)
        self.assertLess(((sae.decode(sae.encode(rest)) - rest) ** 2).sum() / (rest**2).sum(), 0.3)

    def test_it_ends_with_the_rows_or_when_it_is_told_to(self):
        steps = []
        lvo.train(self.rows(10), latents=64, k=4, batch_tokens=256, callback=steps.append, threads=1)
        self.assertEqual(len(steps), 3)
        lvo.train(self.rows(10), latents=64, k=4, batch_tokens=256, callback=lambda measures: True, threads=1)
        with self.assertRaisesRegex(lvo.InvalidArgument, "no rows"):
            lvo.train([])

    def test_mixing_keeps_every_row_once(self):
        rows = [np.arange(start, start + 7, dtype=np.float32)[:, None] for start in range(0, 700, 7)]
        out = np.concatenate(list(lvo.mixed(rows, 50, seed=3)))[:, 0]
        np.testing.assert_array_equal(np.sort(out), np.arange(700))
        self.assertGreater(abs(out - np.arange(700)).mean(), 10)


@needs("torch")
class OtherLibrariesTests(unittest.TestCase):
    """Folders written by lvo, read by their own libraries, and the other way."""

    @classmethod
    def setUpClass(cls):
        cls.sae = lvo.SAE.load("embedded", threads=1)
        cls.x = np.random.default_rng(7).standard_normal((50, 64), dtype=np.float32)
        cls.expected = cls.sae.decode(cls.sae.encode(cls.x))
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = Path(cls.temporary.name)

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def jump_relu(self):
        """The same weights with thresholds, as another rule."""
        path = self.folder / "jump"
        if not path.exists():
            self.sae.save(path)
            weights = lvo.tensorfile.read(path / "sae.safetensors")
            weights["threshold"] = np.linspace(0, 1, 768, dtype=np.float32)
            lvo.tensorfile.write(path / "sae.safetensors", weights)
            about = json.loads((path / "cfg.json").read_text())
            (path / "cfg.json").write_text(json.dumps({**about, "activation": "jumprelu"}))
        return lvo.SAE.load(path, threads=1)

    @needs("dictionary_learning", "einops")
    def test_dictionary_learning_s_classes_read_what_is_written(self):
        import torch

        # The classes without the package's own import, which takes language models.
        sys.path.insert(0, str(REPOSITORY / "tools/goldens"))
        from peer_autoencoders import dictionary_module

        AutoEncoderTopK = dictionary_module("trainers.top_k").AutoEncoderTopK
        JumpReluAutoEncoder = dictionary_module("dictionary").JumpReluAutoEncoder
        jump = self.jump_relu()
        cases = [
            (self.sae, lambda path: AutoEncoderTopK.from_pretrained(path, k=8)),
            (jump, lambda path: JumpReluAutoEncoder.from_pretrained(path)),
        ]
        for number, (sae, load) in enumerate(cases):
            folder = self.folder / f"dl{number}"
            sae.save(folder, "dictionary_learning")
            theirs = load(str(folder / "ae.pt"))(torch.from_numpy(self.x)).detach().numpy()
            expected = sae.decode(sae.encode(self.x))
            self.assertLess(relative_error(theirs, expected), 1e-5)
            again = lvo.SAE.load(folder, threads=1)
            self.assertLess(relative_error(again.decode(again.encode(self.x)), expected), 1e-5)
            with self.assertRaises(lvo.CannotWrite):
                sae.save(folder, "dictionary_learning")

    def test_saelens_reads_what_is_written(self):
        import torch

        SAE = imported(self, "sae_lens").SAE

        for sae in (self.sae, self.jump_relu()):
            folder = self.folder / f"saelens-{sae.info['rule']}"
            sae.save(folder, "saelens")
            theirs = SAE.load_from_disk(str(folder))(torch.from_numpy(self.x)).detach().numpy()
            self.assertLess(relative_error(theirs, sae.decode(sae.encode(self.x))), 1e-5)

    def test_sparsify_reads_what_is_written_and_lvo_reads_sparsify_s(self):
        import torch

        SparseCoder = imported(self, "sparsify").SparseCoder

        self.sae.save(self.folder / "sparsify")
        about = json.loads((self.folder / "sparsify/cfg.json").read_text())
        theirs = SparseCoder.load_from_disk(str(self.folder / "sparsify"))
        found = theirs.encode(torch.from_numpy(self.x))
        # Its own decoder is a Triton kernel, which a CPU has not.
        out = (found.top_acts[..., None] * theirs.W_dec[found.top_indices]).sum(1) + theirs.b_dec
        self.assertLess(relative_error(out.detach(), self.expected), 1e-5, about)
        theirs.save_to_disk(str(self.folder / "theirs"))
        again = lvo.SAE.load(self.folder / "theirs", threads=1)
        self.assertLess(relative_error(again.decode(again.encode(self.x)), self.expected), 1e-5)


class ActivationFileTests(unittest.TestCase):
    def test_activations_come_back_from_both_kinds_of_files(self):
        arrays = {"a.b": np.arange(6, dtype=np.float32).reshape(2, 3), "c": np.float16([1, 2])}
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/all.safetensors"
            lvo.interop.save_activations(path, arrays, timestep=301)
            for name, value in lvo.interop.load_activations(path).items():
                np.testing.assert_array_equal(value, arrays[name])
            self.assertEqual(lvo.tensorfile.read_with_metadata(path)[1], {"timestep": "301"})
            lvo.interop.save_activations(f"{folder}/one.npy", {"c": arrays["c"]})
            np.testing.assert_array_equal(
                lvo.interop.load_activations(f"{folder}/one.npy")["one"], arrays["c"]
            )
            with self.assertRaisesRegex(lvo.CannotWrite, "one array"):
                lvo.interop.save_activations(f"{folder}/two.npy", arrays)
            Path(path).write_bytes(b"\x00" * 5)
            with self.assertRaises(lvo.BadFile):
                lvo.interop.load_activations(path)

    @needs("safetensors")
    def test_safetensors_reads_what_is_written(self):
        from safetensors.numpy import load_file

        with tempfile.TemporaryDirectory() as folder:
            values = {
                "x": np.random.default_rng(1).standard_normal((3, 4), dtype=np.float32),
                "n": np.int64([3]),
            }
            lvo.tensorfile.write(f"{folder}/x.safetensors", values)
            for name, value in load_file(f"{folder}/x.safetensors").items():
                np.testing.assert_array_equal(value, values[name])


if __name__ == "__main__":
    unittest.main()
